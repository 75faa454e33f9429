"""Text recognition: from the image of one line to the model's input, and from its output to text.

The models are trained with connectionist temporal classification (Graves et al., ICML 2006): each column says one
character or a blank, repeats without a blank between them are one character, and blanks fall away.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

HEIGHT_PX = 48
WIDTHS_PX = (160, 320, 480, 640, 800, 960, 1280)  # few shapes: engines prepare each one, and lines of one shape can share a batch
BLANK = 0


def prepare(line: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale the image of a line (H, W, 3 RGB) to 48 pixels high, pad it to one of the widths: (3, 48, width BGR)."""
    height, width = line.shape[:2]
    scaled_width = min(max(1, round(width * HEIGHT_PX / height)), WIDTHS_PX[-1])
    padded_width = next(width for width in WIDTHS_PX if width >= scaled_width)
    scaled = cv2.resize(line, (scaled_width, HEIGHT_PX), interpolation=cv2.INTER_LINEAR)
    padded = np.zeros((3, HEIGHT_PX, padded_width), np.float32)
    padded[:, :, :scaled_width] = (scaled[:, :, ::-1].astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)
    return padded


def alphabet(dictionary: str) -> list[str]:
    """Return the character of each class: the blank, the lines of a dictionary file ("package:path"), and a space."""
    package, _, path = dictionary.partition(":")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        message = f"{dictionary}: the package {package} is not installed; pip install 'heterosis[examples]'"
        raise FileNotFoundError(message)
    text = (Path(spec.submodule_search_locations[0]) / path).read_text(encoding="utf-8")
    return ["", *text.splitlines(), " "]


def decode(output: NDArray[np.float32], characters: list[str]) -> tuple[str, float]:
    """Return the likeliest text of an output (columns, classes of probabilities), and the mean probability of its characters."""
    best = output.argmax(axis=1)
    kept = (best != BLANK) & (best != np.concatenate(([BLANK], best[:-1])))
    if not kept.any():
        return "", 0.0
    text = "".join(characters[index] for index in best[kept])
    return text, float(output[kept, best[kept]].mean())
