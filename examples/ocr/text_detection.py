"""Differentiable binarisation: from a page to an image a text detector takes, and from its map to the lines of text.

Source: Liao et al., "Real-time Scene Text Detection with Differentiable Binarization" (AAAI 2020), with the numbers of
PaddleOCR's `inference.yml`. One departure: a shrunk region is grown back as a rectangle. PaddleOCR offsets its polygon,
then takes the smallest rectangle around it, which is the same.
"""

import math
import statistics
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

LONG_SIDE_PX = 640  # a page is scaled to this, so that pages of any size cost much the same
LARGEST_SCALE = 2.0  # a small picture gains nothing from being blown up further
GRID_PX = 128  # sides are padded to multiples of this: at most 25 input shapes; the models need multiples of 32
# The models were trained on BGR images with ImageNet's numbers for RGB.
MEAN_RGB = np.array([0.406, 0.456, 0.485], np.float32)
DEVIATION_RGB = np.array([0.225, 0.224, 0.229], np.float32)

TEXT_THRESHOLD = 0.2  # a pixel above it is text
BOX_THRESHOLD = 0.4  # a region whose mean is below it is not text
UNCLIP_RATIO = 1.4  # the map shows shrunk regions; they grow back by area * ratio / perimeter
SMALLEST_SIDE_PX = 3.0
SAME_ROW = 0.5  # boxes whose centres differ by less than this share of their height stand in one row


class Box(NamedTuple):
    """A rectangle that may lean: centre, size along and across the text, and its angle, clockwise from the x axis."""

    x: float
    y: float
    width: float
    height: float
    angle_degrees: float


def scale_of(image: NDArray[np.uint8]) -> float:
    """Return how many pixels of the detector's input make one pixel of the page."""
    return float(min(LONG_SIDE_PX / max(image.shape[:2]), LARGEST_SCALE))


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
        (x, y), (width, height), angle_degrees = cv2.minAreaRect(outline)
        if min(width, height) >= SMALLEST_SIDE_PX and mean_inside(text_map, outline) >= BOX_THRESHOLD:
            found.append(grown(along_text(Box(x, y, width, height, angle_degrees)), scale))
    return reading_order(found)


def grown(box: Box, scale: float) -> Box:
    """Return the box of text whose shrunk box on the map this is, in pixels of the page."""
    both_margins = box.width * box.height * UNCLIP_RATIO / (box.width + box.height)
    return Box(
        box.x / scale,
        box.y / scale,
        (box.width + both_margins) / scale,
        (box.height + both_margins) / scale,
        box.angle_degrees,
    )


def along_text(box: Box) -> Box:
    """Return the same rectangle with its angle in -45..45 degrees, so that the width runs along the text."""
    quarter_turns = round(box.angle_degrees / 90)
    width, height = (box.width, box.height) if quarter_turns % 2 == 0 else (box.height, box.width)
    return Box(box.x, box.y, width, height, box.angle_degrees - 90 * quarter_turns)


def corners(box: Box) -> NDArray[np.float32]:
    """Return the corners (4, 2 of x, y): top left, top right, bottom right, bottom left."""
    angle = np.deg2rad(box.angle_degrees)
    along = np.array([np.cos(angle), np.sin(angle)]) * box.width / 2
    across = np.array([-np.sin(angle), np.cos(angle)]) * box.height / 2
    centre = np.array([box.x, box.y])
    corners = [centre - along - across, centre + along - across, centre + along + across, centre - along + across]
    return np.array(corners, np.float32)


def bounds(box: Box) -> NDArray[np.float32]:
    """Return the upright rectangle around a box: left, top, right, bottom."""
    points = corners(box)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def mean_inside(text_map: NDArray[np.float32], outline: NDArray[Any]) -> float:
    """Return the mean of the map inside an outline (points, 1, 2 of x, y)."""
    x, y, width, height = cv2.boundingRect(outline)
    inside = np.zeros((height, width), np.uint8)
    cv2.drawContours(inside, [outline], -1, 1, cv2.FILLED, offset=(-x, -y))
    return float(cv2.mean(text_map[y : y + height, x : x + width], inside)[0])


def reading_order(found: list[Box]) -> list[Box]:
    """Sort boxes into rows from top to bottom, and each row from left to right; the page may lean as a whole."""
    if not found:
        return []
    slope = math.tan(math.radians(statistics.median(box.angle_degrees for box in found)))
    level = {box: box.y - slope * box.x for box in found}
    rows: list[list[Box]] = []
    for box in sorted(found, key=level.__getitem__):
        if rows and level[box] - level[rows[-1][0]] < SAME_ROW * min(box.height, rows[-1][0].height):
            rows[-1].append(box)
        else:
            rows.append([box])
    return [box for row in rows for box in sorted(row, key=lambda box: box.x)]


def cut(image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Cut a box out of the page (H, W, 3) and set it straight."""
    width, height = max(1, round(box.width)), max(1, round(box.height))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    straighten = cv2.getPerspectiveTransform(corners(box), target)
    line = cv2.warpPerspective(
        image, straighten, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return line.astype(np.uint8)
