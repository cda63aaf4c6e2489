"""What the manifests and model cards of the pathology models say of their data and limits."""

from domains.core.spec import InputSpec
from domains.core.training import Card, Identity
from domains.pathology.training.data import BREAST, CHEST, LUNG, SKIN

INPUT = InputSpec(height=224, width=224, mean=127.0, std=128.0)
"""The preprocessing of the backbone: (x - 127) / 128."""
INTENDED_USE = "Research and teaching only. Not a medical device; no clinical claim is made."
METHOD = (
    "EfficientNet-Lite0 with ImageNet weights, its last blocks cut off, its first four and its batch normalisation frozen. A 1x1 "
    "convolution at stride 16 and another at stride 32 add up to an evidence map for each label; the map's mean and a linear "
    "function of the pooled features add up to the label's logit. Trained with cross-entropy (label smoothing 0.05), AdamW and "
    "averaged weights on draws that are balanced over labels and sources. An offset of each label's logit, fitted on the calibration "
    "part with every label counting the same, makes up for labels whose few training pictures the network knows by heart. "
)
DEVICES = (
    "Scans are turned, cropped as another depth would, mirrored, relit as another gain would and coded anew; text, rulers and "
    "callipers are drawn on them, and other probes' shapes. "
)
RUNS = "The weights are the mean of those of several runs from the same start, with other batches each (Wortsman et al., 2022). "
GATE = (
    "The gate is a linear function of the pooled features, whitened over training pictures at four gains, noisy, coded anew and "
    "tinted, and turned to where pictures of other kinds lie farthest off; nothing of the kinds everyday, document, device_screen, "
    "other_ultrasound and flat_graphic was seen in fitting it."
)
ABSTENTION = (
    "The rule: on the risk-coverage curve of the calibration part, as few cases are left open as give an accuracy of 90 % among the "
    "answered ones, and never more than 35 % of them."
)
SEQUENCES = (
    "\n\n## Clips and streams\n\n"
    "Frames are answered one by one; the verdict is the mean over those that count. Frames that are dark, blurred, frozen or "
    "foreign don't: from where on, `[domain_options.sequence]` and `[domain_options.gate]` say. What the verdict's interval "
    "means, and how all this was measured, stands in docs/clips.md. "
)

BREAST_IDENTITY = Identity(
    name="breast_ultrasound", version="2.1.1", domain="pathology", task="classification",
    title="Breast ultrasound: benign lesion, malignant lesion or normal", labels=BREAST, intended_use=INTENDED_USE,
    weights_licence="Research use only: the training data state no licence (backbone: Apache-2.0)",
    data_licence="BUSI: no licence stated; citation asked for (Al-Dhabyani et al. 2020)", input=INPUT,
)
BREAST_CARD = Card(
    data=(
        "BUSI (Baheya Hospital, Cairo; GE LOGIQ E9), cleaned of near-duplicates and of scans filed under two labels: 435 "
        "distinct scans, split so that near-duplicates stay together. There are no patient numbers (about 600 patients), "
        "so scans of one patient may lie on both sides of the split. One hospital, one make of machine. How deep to cut the "
        "backbone, and that the mean of several runs is better than one, was seen on this held-out split too, so its figures may be a "
        "little too good."
    ),
    method=METHOD + DEVICES + "The lesions' outlines teach the map: evidence for the truth that lies outside costs. " + RUNS + GATE,
    limits=(
        "- Held out are few scans from the same hospital and machine: expect less elsewhere.\n"
        "- The data's labels are known to hold errors: some axilla views are filed as breast (Pawlowska et al. 2023).\n"
        "- Many scans carry callipers and text, and callipers are on lesions only. In training more are drawn anywhere, so that "
        "they say less; a model may still lean on them.\n"
        "- The gate knows what a scan of this kind looks like, not anatomy: a scan of another organ may pass where it looks alike.\n"
        "- The evidence map shows where the leading label's evidence lies. It is no outline of a lesion."
        + SEQUENCES + "The data hold no clip: thresholds come from stills, and no verdict on a breast clip was ever measured."
    ),
    abstention=ABSTENTION,
    attribution=(
        "Al-Dhabyani W, Gomaa M, Khaled H, Fahmy A. Dataset of breast ultrasound images. Data in Brief 28:104863, 2020. "
        "EfficientNet-Lite0 weights: tensorflow/tpu, Apache-2.0."
    ),
)

LUNG_IDENTITY = Identity(
    name="lung_ultrasound", version="2.1.2", domain="pathology", task="classification",
    title="Lung ultrasound: normal or abnormal", labels=LUNG, intended_use=INTENDED_USE,
    weights_licence="CC BY-NC-SA 4.0: non-commercial research, as most of the training clips (backbone: Apache-2.0)",
    data_licence="lus_pocus: a licence for each file, mostly CC BY-NC 4.0, some CC BY-NC-SA, CC BY 4.0 and CC BY 2.0",
    input=INPUT,
)
LUNG_CARD = Card(
    data=(
        "93 point-of-care clips and stills collected by Born et al. (2021) from hospitals, atlases and the web. `regular` "
        "is normal, every pneumonia is abnormal. Split by patient where one is known, never by frame; up to 12 frames of "
        "a clip, evenly spaced. A clip's probability is the mean over its frames. How much farther off than the calibration clips' frames a "
        "frame may be before the gate refuses it was settled with the held-out clips in view."
    ),
    method=METHOD + DEVICES + GATE,
    limits=(
        "- **Confounded by source.** Normal clips come mostly from two collections, abnormal ones from others, with other "
        "machines and cropping. A model can tell sources apart in place of lungs: simple models fall from AUC .91 by "
        "patient to .63 when whole sources are left out. The figures above are by patient and must not be read as an "
        "ability to diagnose.\n"
        "- Normal against abnormal only: no cause is named, and there is no COVID-19 claim.\n"
        "- Very few clips: the confidence intervals are wide.\n"
        "- The gate knows what these clips look like, not anatomy: the eye on a handheld device's screen may pass."
        + SEQUENCES + "All that was said of sources holds for verdicts as well: a narrow interval around a label that the "
        "machine gave away is still wrong."
    ),
    abstention=ABSTENTION,
    across_sources=(
        "Trained anew without source 18 (Northumbria Specialist Emergency Care Hospital) and judged on all of its 47 clips and stills, "
        "20 normal and 27 bacterial pneumonia, float32: AUC 0.946 (0.881 to 1.000) (`benchmarks/leave_source_out.py`). Every other "
        "source has fewer than three clips of one of the two labels, so this is one other hospital, and no more: what the model makes of "
        "COVID-19 clips from a third source could not be told from what it makes of that source."
    ),
    attribution=(
        "Born J et al. Accelerating detection of lung pathologies with explainable ultrasound image analysis. Applied "
        "Sciences 11:672, 2021, and the authors of each clip named there (Northumbria: CC BY-NC 4.0; Neuruppin: CC BY 4.0; "
        "The POCUS Atlas and others: CC BY-NC). EfficientNet-Lite0 weights: tensorflow/tpu, Apache-2.0."
    ),
)

CHEST_IDENTITY = Identity(
    name="chest_xray", version="1.1.1", domain="pathology", task="classification",
    title="Chest X-ray of a child: normal or pneumonia", labels=CHEST, intended_use=INTENDED_USE,
    weights_licence="CC BY 4.0, as the X-rays (backbone: Apache-2.0); the copy they were taken from states no licence",
    data_licence="Kermany et al. 2018: CC BY 4.0 (Mendeley Data rscbjbr9sj)", input=INPUT,
)
CHEST_CARD = Card(
    data=(
        "798 chest X-rays of children of one to five years (Guangzhou Women and Children's Medical Center; Kermany et al. 2018), "
        "224 x 224 pixels, their aspect squashed by whoever made the copy. Split by child. Bacterial and viral pneumonia are one "
        "label."
    ),
    method=METHOD + "X-rays are turned a little, cropped, mirrored, relit and coded anew. " + GATE,
    limits=(
        "- Children of one hospital. Adults' X-rays from another source are little better than chance (AUC .58 for a simple "
        "model trained on the same data): don't use it on adults.\n"
        "- Normal or pneumonia only: it names no cause and sees no other disease. An X-ray with a fracture, a mass or a device gets "
        "one of the two labels.\n"
        "- Nothing was done against what else may tell sick children's X-rays apart: posture, lines, markers at the edge.\n"
        "- The evidence map shows where the leading label's evidence lies. It is no outline of a consolidation."
    ),
    abstention=ABSTENTION,
    attribution=(
        "Kermany D, Zhang K, Goldbaum M. Large dataset of labeled optical coherence tomography (OCT) and chest X-ray images. "
        "Mendeley Data, 2018. EfficientNet-Lite0 weights: tensorflow/tpu, Apache-2.0."
    ),
)

SKIN_IDENTITY = Identity(
    name="skin_lesion", version="1.1.1", domain="pathology", task="classification",
    title="Dermoscopy of a skin lesion: melanoma or another lesion", labels=SKIN, intended_use=INTENDED_USE,
    weights_licence="CC BY-NC 4.0: non-commercial, as the photos (backbone: Apache-2.0)",
    data_licence="HAM10000: CC BY-NC 4.0 (Tschandl et al. 2018)", input=INPUT,
)
SKIN_CARD = Card(
    data=(
        "680 dermoscopy photos of as many lesions from HAM10000 (Vienna and Queensland; Tschandl et al. 2018), 224 x 224 pixels: "
        "280 melanomas and 400 others, mostly moles. Split by lesion."
    ),
    method=METHOD + "Photos are turned by any angle, mirrored both ways, cropped, relit, tinted and coded anew. " + RUNS + GATE,
    limits=(
        "- Melanomas are four in ten here and rare in a clinic: the probability is not a patient's risk.\n"
        "- Mostly light skin, two centres, dermoscopes: a phone's photo without one is another picture.\n"
        "- `other` is everything that isn't melanoma, carcinomas too: it does not mean harmless.\n"
        "- The evidence map shows where the leading label's evidence lies. It is no outline of the lesion."
    ),
    abstention=ABSTENTION,
    attribution=(
        "Tschandl P, Rosendahl C, Kittler H. The HAM10000 dataset. Scientific Data 5:180161, 2018. EfficientNet-Lite0 weights: "
        "tensorflow/tpu, Apache-2.0."
    ),
)
