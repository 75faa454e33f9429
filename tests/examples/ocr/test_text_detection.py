"""Text detection: from the map to boxes in reading order, and lines cut out straight."""

import math
import random

import cv2
import numpy as np
import pytest
import text_detection
from hypothesis import given
from hypothesis import strategies as st
from text_detection import Box


@pytest.mark.parametrize(
    ("page", "size"),
    [((800, 640), (640, 512)), ((640, 800), (512, 640)), ((165, 384), (384, 640)), ((20, 20), (128, 128))],
)
def test_pages_become_few_shapes(page: tuple[int, int], size: tuple[int, int]) -> None:
    """The long side is scaled to 640, at most doubled; both sides are padded to multiples of 128."""
    made = text_detection.prepare(np.full((*page, 3), 255, np.uint8))
    assert made.shape == (3, *size)
    assert made.dtype == np.float32
    np.testing.assert_allclose(
        made[:, 0, 0], [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225], rtol=1e-5
    )


def test_a_region_grows_back_to_its_box() -> None:
    """A bright rectangle on the map becomes a box, larger by area * 1.4 / perimeter on each side, in page pixels."""
    text_map = np.zeros((128, 256), np.float32)
    text_map[40:61, 50:151] = 0.9  # 100 x 20 between the centres of its outermost pixels
    (box,) = text_detection.boxes(text_map, scale=0.5)
    margin = 100 * 20 * 1.4 / (2 * (100 + 20))
    assert box == pytest.approx((200, 100, 2 * (100 + 2 * margin), 2 * (20 + 2 * margin), 0), abs=0.1)


def test_faint_and_tiny_regions_are_no_text() -> None:
    """A region of low mean probability, or of two pixels, is dropped; an empty map has no boxes."""
    text_map = np.zeros((128, 128), np.float32)
    assert text_detection.boxes(text_map, 1) == []
    text_map[10:30, 10:90] = 0.3
    text_map[100:102, 100:102] = 1.0
    assert text_detection.boxes(text_map, 1) == []


@pytest.mark.parametrize("angle", [-90, -60, -5, 0, 30, 85, 90])
def test_width_runs_along_the_text(angle: float) -> None:
    """OpenCV names one rectangle in four ways; only an angle of at most 45 degrees is used, with the same corners."""
    box = Box(100, 100, 80, 20, angle)
    turned = text_detection.along_text(box)
    assert abs(turned.angle_degrees) <= 45
    assert {tuple(corner) for corner in np.round(text_detection.corners(turned), 2) + 0.0} == {
        tuple(corner) for corner in np.round(text_detection.corners(box), 2) + 0.0
    }


@given(st.lists(st.integers(1, 4), min_size=1, max_size=8), st.floats(-3, 3), st.randoms(use_true_random=False))
def test_reading_order_survives_a_leaning_page(rows: list[int], lean: float, shuffler: random.Random) -> None:
    """Boxes shuffled at random come back row by row, left to right, also if the whole page leans by 3 degrees."""
    turn = np.array(cv2.getRotationMatrix2D((320, 400), -lean, 1))
    page = []
    for row, count in enumerate(rows):
        for column in range(count):
            x, y = turn @ [60 + 150 * column, 50 + 45 * row, 1]
            page.append(Box(float(x), float(y), 120, 30 + (column % 2), lean))
    shuffled = page.copy()
    shuffler.shuffle(shuffled)
    assert text_detection.reading_order(shuffled) == page


@pytest.mark.parametrize("angle", [0.0, 7.0, -20.0])
def test_a_box_is_cut_out_straight(angle: float) -> None:
    """What lies in a leaning box, red on its left and blue on its right, lies upright in the cut."""
    page = np.zeros((300, 400, 3), np.uint8)
    along = np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
    for side, colour in ((-40, (255, 0, 0)), (40, (0, 0, 255))):
        x, y = np.array([200, 150]) + side * along
        half = text_detection.corners(Box(x, y, 80, 40, angle))
        cv2.fillConvexPoly(page, np.round(half).astype(np.int32), colour)
    line = text_detection.cut(page, Box(200, 150, 160, 40, angle))
    assert line.shape == (40, 160, 3)
    assert line.dtype == np.uint8
    np.testing.assert_allclose(line[6:34, 6:70].mean((0, 1)), [255, 0, 0], atol=6)
    np.testing.assert_allclose(line[6:34, 90:154].mean((0, 1)), [0, 0, 255], atol=6)
