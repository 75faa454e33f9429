"""Differentiable binarisation: from a page to an image a text detector takes, and from its map to the lines of text.

Source: Liao et al., "Real-time Scene Text Detection with Differentiable Binarization" (AAAI 2020), with the numbers of
PaddleOCR's `inference.yml`. One departure: a shrunk region is grown back as a rectangle. PaddleOCR offsets the polygon and
takes the smallest rectangle around the result, which is the same rectangle.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

LONG_SIDE_PX = 800  # a page is scaled to this, so that pages of any size cost much the same
LARGEST_SCALE = 2.0  # a small picture gains nothing from being blown up further
GRID_PX = 160  # sides are padded to multiples of this: at most 25 input shapes, and a multiple of the 32 that the models need
MEAN_RGB = np.array([0.406, 0.456, 0.485], np.float32)  # the models were trained on BGR images with ImageNet's RGB numbers
DEVIATION_RGB = np.array([0.225, 0.224, 0.229], np.float32)

TEXT_THRESHOLD = 0.2  # a pixel above it is text
BOX_THRESHOLD = 0.4  # a region whose mean is below it is not text
UNCLIP_RATIO = 1.4  # the map shows shrunk regions; they grow back by area * ratio / perimeter
SMALLEST_SIDE_PX = 3.0


class Box(NamedTuple):
    """A rectangle that may lean: centre, size along and across the text, and its angle, clockwise from the x axis."""

    x: float
    y: float
    width: float
    height: float
    angle_degrees: float


def scale_of(image: NDArray[np.uint8]) -> float:
    """Return how many pixels of the detector's input make one pixel of the page."""
    return min(LONG_SIDE_PX / max(image.shape[:2]), LARGEST_SCALE)


def prepare(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale, pad and normalise a page (H, W, 3 RGB) to the detector's input (3, h, w BGR)."""
    scale = scale_of(image)
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    padded = cv2.copyMakeBorder(scaled, 0, -height % GRID_PX, 0, -width % GRID_PX, cv2.BORDER_REPLICATE)
    normal = (padded.astype(np.float32) / 255 - MEAN_RGB) / DEVIATION_RGB
    return np.ascontiguousarray(normal[:, :, ::-1].transpose(2, 0, 1))


def boxes(text_map: NDArray[np.float32], scale: float) -> list[Box]:
    """Return the boxes on the page, in reading order, for the detector's map (h, w of probabilities)."""
    mask = (text_map > TEXT_THRESHOLD).astype(np.uint8)
    outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for outline in outlines:
        shrunk = along_text(*cv2.minAreaRect(outline))
        if min(shrunk.width, shrunk.height) < SMALLEST_SIDE_PX or mean_inside(text_map, shrunk) < BOX_THRESHOLD:
            continue
        margin = shrunk.width * shrunk.height * UNCLIP_RATIO / (2 * (shrunk.width + shrunk.height))
        found.append(
            Box(
                shrunk.x / scale,
                shrunk.y / scale,
                (shrunk.width + 2 * margin) / scale,
                (shrunk.height + 2 * margin) / scale,
                shrunk.angle_degrees,
            )
        )
    return reading_order(found)


def along_text(centre: tuple[float, float], size: tuple[float, float], angle_degrees: float) -> Box:
    """Return OpenCV's rectangle with the angle in -45..45 degrees, so that width runs along the x axis."""
    quarter_turns = round(angle_degrees / 90)
    width, height = size if quarter_turns % 2 == 0 else size[::-1]
    return Box(*centre, width, height, angle_degrees - 90 * quarter_turns)


def corners(box: Box) -> NDArray[np.float32]:
    """Return the corners (4, 2 of x, y): top left, top right, bottom right, bottom left."""
    turn = np.deg2rad(box.angle_degrees)
    along = np.array([np.cos(turn), np.sin(turn)]) * box.width / 2
    across = np.array([-np.sin(turn), np.cos(turn)]) * box.height / 2
    centre = np.array([box.x, box.y])
    return np.array([-along - across, along - across, along + across, across - along], np.float32) + centre.astype(np.float32)


def mean_inside(text_map: NDArray[np.float32], box: Box) -> float:
    """Return the mean of the map inside a box."""
    inside = np.zeros(text_map.shape, np.uint8)
    cv2.fillConvexPoly(inside, np.round(corners(box)).astype(np.int32), 1)
    return float(cv2.mean(text_map, inside)[0])


def reading_order(found: list[Box]) -> list[Box]:
    """Sort boxes into rows from top to bottom, and each row from left to right, on pages that lean as a whole too."""
    if not found:
        return []
    lean = np.tan(np.deg2rad(np.median([box.angle_degrees for box in found])))
    rows: list[list[Box]] = []
    for box in sorted(found, key=lambda box: box.y - lean * box.x):
        if rows and level(box, lean) - level(rows[-1][0], lean) < 0.5 * min(box.height, rows[-1][0].height):
            rows[-1].append(box)
        else:
            rows.append([box])
    return [box for row in rows for box in sorted(row, key=lambda box: box.x)]


def level(box: Box, lean: float) -> float:
    """Return how far down the page a box's centre lies, where rows fall by `lean` pixels a pixel."""
    return box.y - lean * box.x


def cut(image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Cut a box out of the page and straighten it; tall boxes are laid on their side, since lines of text are wide."""
    width, height = max(1, round(box.width)), max(1, round(box.height))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    straighten = cv2.getPerspectiveTransform(corners(box), target)
    return cv2.warpPerspective(image, straighten, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
