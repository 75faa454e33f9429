"""Documents whose text is known: rendered from documents.toml, and a photograph of a page that scikit-image ships.

`python documents.py FOLDER` writes the pages as PNG files, and what they say beside them, for people to look at.
"""

import io
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

WIDTH_PX, HEIGHT_PX = 640, 800
MARGIN_PX = 44
PHOTOGRAPH_LINES = (
    "Region-based segmentation",
    "Let us first determine markers of the coins and the",
    "background. These markers are pixels that we can label",
    "unambiguously as either object or background. Here,",
    "the markers are found at the two extreme parts of the",
    "histogram of grey values:",
)
PHOTOGRAPH_ROWS = 165  # the rows below show half a line, cut through its letters


class Sheet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of documents.toml, which explains the fields."""

    name: str
    font: str
    size_px: int
    ink: int
    paper: int
    blur_px: float
    noise: float
    text: str
    shade: float = 0.0
    lean_degrees: float = 0.0
    quarter_turns: int = 0
    jpeg: int = 85

    def lines(self) -> list[str]:
        """Return what the page says, one string a line, columns separated by a space."""
        return [" ".join(line.split(" | ")) for line in self.text.strip().splitlines()]


class Document(msgspec.Struct, frozen=True):
    """A page (H, W, 3 RGB) and the lines of text on it, from top to bottom."""

    name: str
    image: NDArray[np.uint8]
    lines: list[str]


def documents() -> Iterator[Document]:
    """Render every page, always the same way, and add the photograph."""
    text = Path(__file__).with_name("documents.toml").read_text(encoding="utf-8")
    for seed, entry in enumerate(tomllib.loads(text)["page"]):
        sheet = msgspec.convert(entry, Sheet)
        yield Document(name=sheet.name, image=scan(print_out(sheet), sheet, seed), lines=sheet.lines())
    yield photograph()


def print_out(sheet: Sheet) -> NDArray[np.uint8]:
    """Draw the text of a sheet on a clean page (H, W of grey), its lines spread over the height."""
    from PIL import Image, ImageDraw, ImageFont

    fonts = Path(str(distribution("matplotlib").locate_file("matplotlib/mpl-data/fonts/ttf")))
    # Twice the size, to be scaled down: a printer is finer than a scanner. The basic layout is the same everywhere.
    font = ImageFont.truetype(fonts / f"{sheet.font}.ttf", 2 * sheet.size_px, layout_engine=ImageFont.Layout.BASIC)
    page = Image.new("L", (2 * WIDTH_PX, 2 * HEIGHT_PX), sheet.paper)
    draw = ImageDraw.Draw(page)
    rows = sheet.text.strip().splitlines()
    pitch = min((HEIGHT_PX - 2 * MARGIN_PX) / len(rows), 3.2 * sheet.size_px)
    for number, row in enumerate(rows):
        columns = row.split(" | ")
        for column, words in enumerate(columns):
            room = 2 * (WIDTH_PX - 2 * MARGIN_PX) - draw.textlength(words, font)
            if room < 0:
                message = f"documents.toml, page {sheet.name}: {words!r} is wider than the page; break the line"
                raise ValueError(message)
            left = 2 * MARGIN_PX + room * column / max(len(columns) - 1, 1)
            draw.text((left, 2 * (MARGIN_PX + pitch * number)), words, fill=sheet.ink, font=font)
    return np.asarray(page.resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.BOX))


def scan(page: NDArray[np.uint8], sheet: Sheet, seed: int) -> NDArray[np.uint8]:
    """Return what a poor scanner makes of a page (H, W of grey): (H, W, 3 RGB), leaning, blurred, shaded and noisy."""
    import cv2
    from PIL import Image

    height, width = page.shape
    lean = cv2.getRotationMatrix2D((width / 2, height / 2), -sheet.lean_degrees, 1)
    leaning = cv2.warpAffine(page, lean, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    blurred = cv2.GaussianBlur(leaning.astype(np.float64), (0, 0), sheet.blur_px)
    shade = sheet.shade * np.linspace(0, 1, width) * np.linspace(0, 1, height)[:, None]
    noise = np.random.default_rng(seed).normal(0, sheet.noise, page.shape)
    grey = np.rot90(np.clip(blurred - shade + noise, 0, 255).astype(np.uint8), sheet.quarter_turns)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(grey)).save(file, "JPEG", quality=sheet.jpeg)
    return np.asarray(Image.open(file).convert("RGB"))


def photograph() -> Document:
    """Return scikit-image's photograph of a page of its own manual: curved, unevenly lit, in two typefaces."""
    from PIL import Image

    file = Path(str(distribution("scikit-image").locate_file("skimage/data/page.png")))
    image = np.asarray(Image.open(file).convert("RGB"))
    return Document(name="photograph", image=image[:PHOTOGRAPH_ROWS], lines=list(PHOTOGRAPH_LINES))


def main(folder: str) -> None:
    """Write every document to a folder: name.png and name.txt."""
    from PIL import Image

    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    for document in documents():
        Image.fromarray(document.image).save(out / f"{document.name}.png")
        (out / f"{document.name}.txt").write_text("\n".join(document.lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python documents.py FOLDER")
    main(sys.argv[1])
