"""The triage pipeline: short, and right about files that installed packages ship."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import heterosis as hs

Run = Callable[..., tuple[Any, list[str]]]


def lines_of_code(file: Path) -> int:
    """The lines of a file that are neither blank, nor comments, nor documentation."""
    source = file.read_text(encoding="utf-8")
    documentation: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            if ast.get_docstring(node) is not None and first.end_lineno is not None:
                documentation |= set(range(first.lineno, first.end_lineno + 1))
    return sum(
        1
        for number, line in enumerate(source.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#") and number not in documentation
    )


def test_a_pipeline_takes_forty_lines(examples: Path) -> None:
    """Stages, control flow and samples of a whole pipeline fit into forty lines of code."""
    assert lines_of_code(examples / "triage" / "pipeline.py") <= 40


def test_every_sample_is_judged_right(triage: hs.Pipeline, run: Run) -> None:
    """Kinds, fitness and private data are told for every sample file, and each takes only the stages of its branch."""
    for sample in triage.load_samples():
        verdict, stages = run(triage, sample.inputs)
        assert verdict == sample.truth
        closer = "screen" if verdict.startswith(("png", "jpeg", "gif")) else "find_private"
        assert stages == ["identify", *([] if verdict.endswith("not looked into") else [closer])]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (b"Please write to ada.lovelace@example.org before Friday, and bring the drawings.\n", "private"),
        (b"Charge the usual card, 4111 1111 1111 1111, and send the receipt by post.\n", "private"),
        (b"The constant is 0.1234567890123456 and the room is 1234 5678, as always.\n", "fine"),
    ],
)
def test_private_data_is_found(triage: hs.Pipeline, run: Run, text: bytes, verdict: str) -> None:
    """Addresses and card numbers are private; other long numbers are not."""
    find_private = next(stage for stage in triage.stages if stage.name == "find_private")
    assert find_private.implementation().run(text) == verdict
    assert run(triage, {"file": 20 * text})[0].startswith(("txt", "markdown"))


@pytest.mark.parametrize("file", [b"", b"a", b"\n\n\n   \n"])
def test_short_files_are_taken(triage: hs.Pipeline, run: Run, file: bytes) -> None:
    """A file with hardly a byte in it is no error."""
    assert ": " in run(triage, {"file": file})[0]
