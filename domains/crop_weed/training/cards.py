"""What the manifest and model card of the peanut model say of its data and limits."""

from domains.core.spec import InputSpec
from domains.core.training import Card, Identity
from domains.crop_weed.training.data import LABELS

GROUND_RESOLUTION_MM = 0.3
"""An estimate: leaflets of young peanut plants, some 35 to 45 mm long, span about 140 pixels in the training photos."""
LONG_SIDE_PX = 960

PEANUT_IDENTITY = Identity(
    name="peanut", version="1.1.1", domain="crop_weed", task="segmentation",
    title="Young peanut plants and weeds on bare soil", labels=LABELS,
    intended_use="Research. Not for steering a machine or a sprayer without checks of your own.",
    weights_licence="CC BY-SA 4.0, as the training photos (backbone: Apache-2.0)",
    data_licence="crop_peanut (Tran and Phan 2023): CC BY-SA 4.0",
    input=InputSpec(height=320, width=320, mean=127.0, std=128.0),
)

PEANUT_CARD = Card(
    data=(
        "Peanut-dataset (Tran and Phan, 2023): RGB photos of 960x720 pixels from fields near Da Nang, Vietnam, with "
        "masks of soil, crop and weed. Exact duplicates were dropped; photos that overlap (up to 19 of one spot) lie on "
        "one side of the split together. The ground resolution isn't recorded: about "
        f"{GROUND_RESOLUTION_MM} mm a pixel is an estimate from the size of the leaflets (0.2 to 0.4 is likely)."
    ),
    method=(
        "EfficientNet-Lite0 with ImageNet weights up to stride 16, batch normalisation frozen, and a light decoder with "
        "skips back to stride 2. Weighted cross-entropy plus soft Dice, AdamW and averaged weights, on crops of 256 pixels, "
        "half of them near a weed, turned by any angle, scaled 0.6 to 1.6 times and relit. Tiles of 320 pixels are blended; "
        "a patch of fewer than 24 pixels is taken for soil, and a patch that is at least 75 % of one class becomes it "
        "wholly."
    ),
    limits=(
        "- One crop, one region, one camera distance: other fields, crops, seasons and heights will be worse.\n"
        "- `crop` means peanut. Any other crop will mostly be called weed.\n"
        "- Plants are connected patches: leaves that touch make one plant, leaves that don't touch make several.\n"
        "- Thin and tiny weeds are often missed, and their outlines in the truth are coarse.\n"
        "- Scores are mean class probabilities, calibrated over pixels, not over plants."
        "\n\n## Clips and streams\n\n"
        "Plants are followed from frame to frame, so that each counts once. Frames that are dark, blurred or frozen don't "
        "count: from where on, `[domain_options.sequence]` says, taken from training photos by code. The data hold no video: "
        "the count was measured on simulated drives over held-out photos alone, see docs/plant-tracking.md. Ground that is "
        "left and driven over again is counted again."
    ),
    attribution=(
        "Tran D, Phan K. Peanut-dataset, IEEE Access 11:82640, 2023, CC BY-SA 4.0. "
        "EfficientNet-Lite0 weights: tensorflow/tpu, Apache-2.0."
    ),
)
