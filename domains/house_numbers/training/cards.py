"""What the manifest and model card of the SVHN digits say of their data and limits."""

from domains.core import InputSpec
from domains.core.training import Card, Identity
from domains.house_numbers.training.data import LABELS

SVHN_IDENTITY = Identity(
    name="svhn_digits", version="1.1.0", domain="house_numbers", task="classification",
    title="House numbers: one digit", labels=LABELS,
    intended_use="Research and teaching only. Non-commercial, as the photos it was trained on.",
    weights_licence="Non-commercial use only, as the training photos",
    data_licence="SVHN (Netzer et al. 2011): non-commercial use only",
    input=InputSpec(height=32, width=32, mean=127.0, std=128.0, channels=1),
)

SVHN_CARD = Card(
    data=(
        "256 photos of the train part of SVHN (Street View House Numbers, Netzer et al., 2011) with 554 digits. Each digit is "
        "cut out as a square, which goes on beyond the photo's edge as in SVHN's format 2, and becomes grey, 32x32 pixels. The "
        "data set has no split of its own: 15 % of the photos, by a hash of the name, are held out. That leaves some 400 digits "
        "to train on, where the published case study had 73,257, so **this model is far worse than the published one**: it is "
        "here to show the steps, not to read numbers."
    ),
    method=(
        "The network of the published case study: two 3x3 convolutions of 32 filters, two dense layers of 128 and 10, softmax; "
        "3,222,250 parameters, of which 3,211,392 lie in the first dense layer. Adam with a cosine schedule, cross-entropy with "
        "label smoothing 0.05. Each digit is drawn as often, moved by up to 2 pixels, turned up to 10 degrees, scaled by up to "
        "15 %, under another light, with dark and bright exchanged in half of the cases."
    ),
    limits=(
        "- Trained on some 400 digits: it is wrong about a quarter of those that it hasn't seen (held-out and calibration parts "
        "together; the two differ by 15 points, so small are they).\n"
        "- Held out are some 80 digits: one of them is more than a point of accuracy, and of some digits there are only a "
        "handful. The intervals are wide, the recall of a single digit says little, and an interval from 1 to 1 only says that "
        "no held-out digit was missed.\n"
        "- One digit in the box, upright. A whole number must be sent digit by digit; what is no digit still gets one, unless "
        "the answer is left open.\n"
        "- Clips and streams: the mean over the frames that count. No verdict on a clip was ever measured."
    ),
    abstention=(
        "The rule: on the risk-coverage curve of the calibration part, as few digits are left open as give an accuracy of 90 % among "
        "the answered ones, and never more than half of them."
    ),
    int8_loss=(
        "Held out are some 80 digits, 5 to 14 of each: a single one is 1.3 points of accuracy and 7 to 20 of its class. int8 calls one or "
        "two that float32 isn't sure of by another name, in either direction from one training to the next; the intervals above are "
        "wider than that."
    ),
    attribution=(
        "Netzer Y, Wang T, Coates A, Bissacco A, Wu B, Ng AY. Reading digits in natural images with unsupervised feature "
        "learning. NIPS workshop on deep learning and unsupervised feature learning, 2011. Non-commercial use only."
    ),
)
