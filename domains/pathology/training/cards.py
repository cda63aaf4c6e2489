"""What the manifests and model cards of the pathology models say of their data and limits."""

from domains.core.spec import InputSpec
from domains.core.training import Card, Identity
from domains.pathology.training.data import BREAST, LUNG

INPUT = InputSpec(height=224, width=224, mean=127.0, std=128.0)
"""The preprocessing of the backbone: (x - 127) / 128."""
INTENDED_USE = "Research and teaching only. Not a medical device; no clinical claim is made."
METHOD = (
    "EfficientNet-Lite0 with ImageNet weights, its last blocks cut off, its batch normalisation frozen. A 1x1 convolution at "
    "stride 16 and another at stride 32 add up to an evidence map for each label; the map's mean is the label's logit. "
    "Trained with cross-entropy (label smoothing 0.05), AdamW and averaged weights on draws that are balanced over the "
    "labels, under small turns, crops, mirroring, and changes of gain, contrast, sharpness and noise."
)
SEQUENCES = (
    "\n\n## Clips and streams\n\n"
    "Frames are answered one by one; the verdict is the mean over those that count. Frames that are dark, blurred, frozen or "
    "foreign don't: from where on, `[domain_options.sequence]` says, taken from training frames by code. `foreign` is a "
    "coarse check of picture statistics and of the spread of the evidence map, not a detector of other organs. What the "
    "verdict's interval means, and how all this was measured, stands in docs/clips.md. "
)

BREAST_IDENTITY = Identity(
    name="breast_ultrasound", version="1.1.1", domain="pathology", task="classification",
    title="Breast ultrasound: benign lesion, malignant lesion or normal", labels=BREAST, intended_use=INTENDED_USE,
    weights_licence="Research use only: the training data state no licence (backbone: Apache-2.0)",
    data_licence="BUSI: no licence stated; citation asked for (Al-Dhabyani et al. 2020)", input=INPUT,
)
BREAST_CARD = Card(
    data=(
        "BUSI (Baheya Hospital, Cairo; GE LOGIQ E9), cleaned of near-duplicates and of scans filed under two labels: 435 "
        "distinct scans, split so that near-duplicates stay together. There are no patient numbers (about 600 patients), "
        "so scans of one patient may lie on both sides of the split. One hospital, one make of machine. How deep to cut the "
        "backbone was tried out on this held-out split too, so its figures may be a little too good."
    ),
    method=METHOD,
    limits=(
        "- Held out are few scans from the same hospital and machine: expect less elsewhere.\n"
        "- The data's labels are known to hold errors: some axilla views are filed as breast (Pawlowska et al. 2023).\n"
        "- Many scans carry calipers and text. A model may lean on them; calipers are drawn on lesions only.\n"
        "- A picture that shows no breast still gets one of the three labels: abstention doesn't detect other organs.\n"
        "- The evidence map shows where the leading label's evidence lies. It is no outline of a lesion."
        + SEQUENCES + "The data hold no clip: thresholds come from stills, and no verdict on a breast clip was ever measured."
    ),
    attribution=(
        "Al-Dhabyani W, Gomaa M, Khaled H, Fahmy A. Dataset of breast ultrasound images. Data in Brief 28:104863, 2020. "
        "EfficientNet-Lite0 weights: tensorflow/tpu, Apache-2.0."
    ),
)

LUNG_IDENTITY = Identity(
    name="lung_ultrasound", version="1.1.1", domain="pathology", task="classification",
    title="Lung ultrasound: normal or abnormal", labels=LUNG, intended_use=INTENDED_USE,
    weights_licence="CC BY-NC-SA 4.0: non-commercial research, as most of the training clips (backbone: Apache-2.0)",
    data_licence="lus_pocus: a licence for each file, mostly CC BY-NC 4.0, some CC BY-NC-SA, CC BY 4.0 and CC BY 2.0",
    input=INPUT,
)
LUNG_CARD = Card(
    data=(
        "93 point-of-care clips and stills collected by Born et al. (2021) from hospitals, atlases and the web. `regular` "
        "is normal, every pneumonia is abnormal. Split by patient where one is known, never by frame; up to 12 frames of "
        "a clip, evenly spaced. A clip's probability is the mean over its frames."
    ),
    method=METHOD,
    limits=(
        "- **Confounded by source.** Normal clips come mostly from two collections, abnormal ones from others, with other "
        "machines and cropping. A model can tell sources apart in place of lungs: simple models fall from AUC .91 by "
        "patient to .63 when whole sources are left out. The figures above are by patient and must not be read as an "
        "ability to diagnose.\n"
        "- Normal against abnormal only: no cause is named, and there is no COVID-19 claim.\n"
        "- Very few clips: the confidence intervals are wide.\n"
        "- A picture that shows no lung still gets one of the two labels."
        + SEQUENCES + "All that was said of sources holds for verdicts as well: a narrow interval around a label that the "
        "machine gave away is still wrong."
    ),
    attribution=(
        "Born J et al. Accelerating detection of lung pathologies with explainable ultrasound image analysis. Applied "
        "Sciences 11:672, 2021, and the authors of each clip named there (Northumbria: CC BY-NC 4.0; Neuruppin: CC BY 4.0; "
        "The POCUS Atlas and others: CC BY-NC). EfficientNet-Lite0 weights: tensorflow/tpu, Apache-2.0."
    ),
)
