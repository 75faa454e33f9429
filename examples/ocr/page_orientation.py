"""Page orientation: from a page to what the classifier takes."""

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE_PX = 224
MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # ImageNet's, RGB
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


def prepare(page: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Squeeze a page (H, W, 3 RGB) into the classifier's input (3, 224, 224).

    The model's authors cut a square out of the middle, which on a page with little on it may be empty; the direction of
    text can be told at any proportions.
    """
    square = cv2.resize(page, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    normal = (square.astype(np.float32) / 255 - MEAN) / DEVIATION
    return np.ascontiguousarray(normal.transpose(2, 0, 1))
