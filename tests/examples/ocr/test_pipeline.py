"""The OCR pipeline reads what was written."""

from collections.abc import Callable
from typing import Any

import documents
import numpy as np
import pytest

import heterosis as hs

Run = Callable[..., tuple[Any, list[str]]]
PAGES = {document.name: document for document in documents.documents()}


def accuracy(ocr: hs.Pipeline, run: Run, page: str, **models: str) -> float:
    """The pipeline's own measure on one page."""
    lines, _ = run(ocr, {"page": PAGES[page].image}, **models)
    return ocr.score(lines, PAGES[page].lines)


@pytest.mark.parametrize("page", ["fax", "laboratory", "notice", "photograph"])
def test_reference_models_read_hard_pages(ocr: hs.Pipeline, run: Run, page: str) -> None:
    """The small models get at least 95 of 100 characters right on the worst pages."""
    assert accuracy(ocr, run, page) > 0.95


def test_tiny_models_read_all_pages_a_little_worse(ocr: hs.Pipeline, run: Run) -> None:
    """The tiny models stay above 93 % over all pages, but lose clearly on the two worst: size buys accuracy."""
    tiny = {page: accuracy(ocr, run, page, detect="tiny", recognise="tiny") for page in PAGES}
    assert 0.93 < np.mean(list(tiny.values())) < 0.98
    for page in ("fax", "notice"):
        assert tiny[page] < accuracy(ocr, run, page) - 0.03


@pytest.mark.parametrize("page", ["boarding", "bank"])
def test_pages_that_lie_wrong_are_turned(ocr: hs.Pipeline, run: Run, page: str) -> None:
    """A page upside down or sideways is turned and searched again, and then read like any other."""
    lines, stages = run(ocr, {"page": PAGES[page].image}, detect="tiny")
    assert ocr.score(lines, PAGES[page].lines) > 0.95
    assert stages.count("detect") == 2


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_orientation_is_told_for_every_page(ocr: hs.Pipeline, run: Run, turns: int) -> None:
    """However a page is turned, the classifier says how many quarter turns set it upright."""
    orient = next(stage for stage in ocr.stages if stage.name == "orient")

    async def ask(page: hs.Image) -> Any:
        return await orient(page)

    only = hs.pipeline(slo=ocr.slo)(ask)
    upright = {"boarding": 2, "bank": 3}
    for name, document in PAGES.items():
        page = np.rot90(document.image, upright.get(name, 0) - turns)
        assert run(only, {"page": page})[0] == turns, name


def test_each_line_is_one_call(ocr: hs.Pipeline, run: Run) -> None:
    """An upright page costs one call of detect and orient each, and one of recognise for every line found."""
    lines, stages = run(ocr, {"page": PAGES["parking"].image}, recognise="tiny")
    assert stages == ["detect", "orient", *["recognise"] * len(lines)]
    assert len(lines) == 7  # one of the six rows has two columns


def test_an_empty_page_has_no_lines(ocr: hs.Pipeline, run: Run) -> None:
    """A blank page is no error."""
    assert run(ocr, {"page": np.full((800, 640, 3), 255, np.uint8)}, detect="tiny")[0] == []


def test_character_accuracy(ocr: hs.Pipeline) -> None:
    """Accuracy counts wrong characters of the truth, not how lines are broken, and never falls below zero."""
    assert ocr.score(["total", "12.50"], ["total 12.50"]) == 1
    assert ocr.score(["totel 12.5"], ["total 12.50"]) == pytest.approx(1 - 2 / 11)
    assert ocr.score([], ["total"]) == 0
    assert ocr.score(["something much longer than that"], ["abc"]) == 0
