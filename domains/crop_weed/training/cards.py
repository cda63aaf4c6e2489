"""What the manifests and model cards of the crop_weed models say of their data and limits."""

from domains.core.spec import InputSpec
from domains.core.training import Card, Identity
from domains.crop_weed.training.data import LABELS

GROUND_RESOLUTION_MM = 0.3
"""An estimate: leaflets of young peanut plants, some 35 to 45 mm long, span about 140 pixels in the training photos."""
LONG_SIDE_PX = 960
CWFID_GROUND_RESOLUTION_MM = 0.17
"""At the size at which the model looks: the photos have about 0.11 mm a pixel (Haug and Ostermann, 2014: 8.95 pixels a mm)."""
CWFID_LONG_SIDE_PX = 864

INTENDED_USE = "Research. Not for steering a machine or a sprayer without checks of your own."

PEANUT_IDENTITY = Identity(
    name="crop_peanut", version="2.1.0", domain="crop_weed", task="segmentation",
    title="Young peanut plants and weeds on bare soil, in colour", labels=LABELS, intended_use=INTENDED_USE,
    weights_licence="CC BY-SA 4.0, as the training photos (backbone: Apache-2.0)",
    data_licence="crop_peanut (Tran and Phan 2023): CC BY-SA 4.0",
    input=InputSpec(height=320, width=320, mean=127.0, std=128.0),
)
CWFID_IDENTITY = Identity(
    name="crop_cwfid", version="1.1.0", domain="crop_weed", task="segmentation",
    title="Young carrots and weeds on bare soil, in red and near infrared", labels=LABELS, intended_use=INTENDED_USE,
    weights_licence="Non-commercial research only, as the training photos (backbone: Apache-2.0)",
    data_licence="CWFID (Haug and Ostermann 2014): non-commercial research only",
    input=InputSpec(height=320, width=320, mean=127.0, std=128.0),
)

_METHOD = (
    "EfficientNet-Lite0 with ImageNet weights up to stride 16, its layers down to stride 8 kept as they are and batch normalisation "
    "frozen; a light decoder with skips back to stride 2 for the classes; a branch from stride 4 for plants' centres and each cell's "
    "offset to its own (as Panoptic-DeepLab). Weighted cross-entropy plus soft Dice, squared error of the centres, absolute error "
    "of the offsets; AdamW and averaged weights. Crops of 224 pixels, six in ten near a plant, turned by any angle, scaled 0.55 to "
    "1.8 times, in another light, on another soil and with another camera's noise. Tiles of 320 pixels are blended; specks of fewer "
    "than 24 pixels are soil. Plants are told apart by centres or as connected patches (`apart`), whichever found more of the "
    "calibration photos' plants. The gate is a projection of the network's own pooled features, set from training photos in other "
    "light and scale against `domains.foreign`; a photo of another field passes it."
)
_COMMON_LIMITS = (
    "- Where the crop is not named and the photo doesn't look like the training fields (`own_crop_below`), and where it is named "
    "`other`, only soil and vegetation are told apart.\n"
    "- Thin and tiny weeds are often missed, and their outlines in the truth are coarse.\n"
    "- Scores are mean class probabilities, calibrated over pixels, not over plants.\n"
    "- Figures that end in `_by_patches` are of connected patches of the same map, `_by_index` of a threshold on a colour index "
    "(Otsu's) on the same photos."
)
_CLIPS = (
    "\n\n## Clips and streams\n\n"
    "Plants are followed from frame to frame, so that each counts once. Frames that are dark, blurred or frozen don't "
    "count: from where on, `[domain_options.sequence]` says, taken from training photos by code. The data hold no video: "
    "the count was measured on simulated drives over held-out photos alone, see docs/plant-tracking.md. Ground that is "
    "left and driven over again is counted again."
)

PEANUT_CARD = Card(
    data=(
        "Peanut-dataset (Tran and Phan, 2023): RGB photos of 960x720 pixels from fields near Da Nang, Vietnam, with "
        "masks of soil, crop and weed. Exact duplicates were dropped; photos that overlap (up to 19 of one spot) lie on "
        "one side of the split together. The ground resolution isn't recorded: about "
        f"{GROUND_RESOLUTION_MM} mm a pixel is an estimate from the size of the leaflets (0.2 to 0.4 is likely)."
    ),
    method=_METHOD,
    limits=(
        "- One crop, one region, one camera distance: other fields, crops, seasons and heights will be worse.\n"
        "- `crop` means peanut. Where another crop is said to be peanut, most of it is called weed.\n"
        "- The data tell no plants apart: connected patches of a mask stand for plants, in training and in the figures, so these say "
        "little of plants that touch.\n"
        "- Figures that end in `_elsewhere` are of 34 photos of CWFID, another crop by another camera in false colours, of which neither "
        "training nor any threshold saw one.\n" + _COMMON_LIMITS + _CLIPS
    ),
    attribution=(
        "Tran D, Phan K. Peanut-dataset, IEEE Access 11:82640, 2023, CC BY-SA 4.0. "
        "EfficientNet-Lite0 weights: tensorflow/tpu, Apache-2.0."
    ),
)
CWFID_CARD = Card(
    data=(
        "Crop/Weed Field Image Dataset (Haug and Ostermann, 2014): photos of 1296x966 pixels of one carrot field in Germany, "
        "by a camera of two bands on a robot; red is stored as red and blue, near infrared as green. Masks of "
        "vegetation and a loose outline of each plant: a plant is the vegetation in its outline. Vegetation without an outline "
        "counts as vegetation, and for no class."
    ),
    method=_METHOD,
    limits=(
        "- 34 training photos of one field on one day, and six held out: the figures' intervals are wide, and another field, day or "
        "camera will be worse.\n"
        "- `crop` means carrot.\n"
        "- A colour photo must not be sent to it: its near infrared stands where a colour photo has green.\n" + _COMMON_LIMITS + _CLIPS
    ),
    attribution=(
        "Haug S, Ostermann J. A Crop/Weed Field Image Dataset for the Evaluation of Computer Vision Based Precision Agriculture Tasks, "
        "ECCV 2014 Workshops, LNCS 8928:105-116: non-commercial research only. "
        "EfficientNet-Lite0 weights: tensorflow/tpu, Apache-2.0."
    ),
)
