import numpy as np

from domains.core import Abstention, Box, Classification, Instance, Segmentation
from domains.core.overlay import draw, heatmap_picture


def scan() -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    return np.full((200, 300, 3), 90, np.uint8)


def test_evidence_glows_where_it_is_and_nowhere_outside_the_region() -> None:
    heatmap = np.zeros((4, 4), np.float32)
    heatmap[0, 0] = 1
    result = Classification(("a", "b"), (0.9, 0.1), Box(100, 50, 100, 100), heatmap=heatmap)
    picture = heatmap_picture(result, 300, 200)
    assert picture.shape == (200, 300)
    assert picture[55, 105] > 200
    assert not picture[:50].any()
    assert not picture[:, :100].any()
    drawn = draw(scan(), result)
    assert np.array_equal(drawn[:49, :99], scan()[:49, :99])
    assert not np.array_equal(drawn[60, 110], (90, 90, 90))


def test_the_caption_stands_below_the_picture_and_covers_none_of_it() -> None:
    drawn = draw(scan(), Classification(("a", "b"), (0.9, 0.1), Box(0, 0, 300, 200)))
    assert drawn.shape[0] > 200
    assert np.array_equal(drawn[:200], scan())
    assert drawn[200:].max() > 200, "text"


def test_nothing_is_drawn_over_a_foreign_picture_and_the_caption_names_no_label() -> None:
    refused = Abstention("foreign", "This does not look like a breast ultrasound.")
    of_a_scan = draw(scan(), Classification(("a", "b"), (), Box(0, 0, 300, 200), abstention=refused))
    of_a_field = draw(scan(), Segmentation(("soil", "weed"), np.zeros((200, 300), np.uint8), abstention=refused))
    for drawn in (of_a_scan, of_a_field):
        assert np.array_equal(drawn[:200], scan())
        assert drawn[200:].max() > 200, "text"


def test_classes_are_tinted_and_soil_is_left_as_it_is() -> None:
    class_map = np.zeros((200, 300), np.uint8)
    class_map[50:100, 50:100] = 2
    plant = Instance("weed", 0.7, Box(50, 50, 50, 50), np.ones((50, 50), np.bool_), (74.5, 74.5))
    drawn = draw(scan(), Segmentation(("soil", "crop", "weed"), class_map, (plant,)))
    assert np.array_equal(drawn[150:200, 150:], scan()[150:200, 150:])
    red, _, blue = drawn[90, 60]
    assert red > blue


def test_a_tiny_and_a_large_picture_can_be_drawn() -> None:
    for size in ((16, 16), (3000, 4000)):
        pixels = np.zeros((*size, 3), np.uint8)
        drawn = draw(pixels, Segmentation(("soil", "crop", "weed"), np.zeros(size, np.uint8)))
        assert drawn.shape[1] == size[1]
