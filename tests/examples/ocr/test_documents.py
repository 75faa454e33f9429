"""The documents: rendered alike every time, moderately long, and told with their text."""

from pathlib import Path

import documents
import msgspec
import numpy as np
import pytest


@pytest.fixture(scope="module")
def pages() -> list[documents.Document]:
    """Every document, once."""
    return list(documents.documents())


def test_documents_are_the_same_every_time(pages: list[documents.Document]) -> None:
    """Noise is seeded: a second rendering is equal to the last pixel."""
    again = list(documents.documents())
    assert [page.name for page in again] == [page.name for page in pages]
    assert all(np.array_equal(one.image, other.image) for one, other in zip(pages, again, strict=True))


def test_documents_fit_the_pipeline(pages: list[documents.Document]) -> None:
    """There are 12 to 16 of them, RGB, of unlike names, 5 to 14 lines each; two lie the wrong way."""
    assert 12 <= len(pages) <= 16
    assert len({page.name for page in pages}) == len(pages)
    assert all(page.image.dtype == np.uint8 and page.image.ndim == 3 and page.image.shape[2] == 3 for page in pages)
    assert all(5 <= len(page.lines) <= 14 for page in pages)
    landscape = [page.name for page in pages if page.image.shape[:2] == (640, 800)]
    assert landscape == ["bank"]


def test_columns_of_a_row_are_one_line_of_truth(pages: list[documents.Document]) -> None:
    """What stands left and right in a row is told with a space between."""
    grocer = next(page for page in pages if page.name == "grocer")
    assert "Brown bread 3.45" in grocer.lines


def test_a_line_too_wide_for_the_page_is_an_error() -> None:
    """A text that would run off the page names its page and the line."""
    sheet = documents.Sheet(
        name="wide", font="DejaVuSans", size_px=30, ink=0, paper=255, blur_px=0.5, noise=0, text="m" * 60
    )
    with pytest.raises(ValueError, match=r"page wide: 'mmm.*break the line"):
        documents.print_out(sheet)


def test_a_misspelt_field_is_an_error() -> None:
    """documents.toml takes no field that means nothing."""
    with pytest.raises(msgspec.ValidationError, match="nois"):
        msgspec.convert({"name": "x", "font": "y", "size_px": 1, "nois": 3}, documents.Sheet)


def test_pages_are_written_for_people(tmp_path: Path, pages: list[documents.Document]) -> None:
    """The command writes an image and a text for every document."""
    from PIL import Image

    documents.main(str(tmp_path / "pages"))
    for page in pages:
        with Image.open(tmp_path / "pages" / f"{page.name}.png") as image:
            assert image.size == page.image.shape[1::-1]
        assert (tmp_path / "pages" / f"{page.name}.txt").read_text(encoding="utf-8").splitlines() == page.lines
