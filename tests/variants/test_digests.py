"""What results are found by."""

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import heterosis as hs
from heterosis.variants import digests
from heterosis.variants.digests import cpu, digest, source_digest

LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary())
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
ARRAYS = hnp.arrays(
    st.sampled_from([np.uint8, np.float32, np.int64]),
    hnp.array_shapes(max_dims=3, max_side=4),
    elements=st.integers(0, 3),
)


def kind(value: Any) -> Any:
    """Return a value that tells apart what Python holds equal: True and 1, 0.0 and -0.0."""
    if isinstance(value, dict):
        return "dict", [(kind(key), kind(item)) for key, item in value.items()]
    if isinstance(value, list):
        return "list", [kind(item) for item in value]
    return type(value).__name__, repr(value)


@given(VALUES, VALUES)
def test_values_have_one_digest_if_they_are_the_same(one: Any, other: Any) -> None:
    """However nested, and only then."""
    assert (digest(one) == digest(other)) == (kind(one) == kind(other))


@given(ARRAYS, ARRAYS)
def test_arrays_differ_by_content_shape_and_type(one: np.ndarray, other: np.ndarray) -> None:
    """Not by their layout in memory."""
    same = one.dtype == other.dtype and one.shape == other.shape and bool((one == other).all())
    assert (digest(one) == digest(other)) == same
    assert digest(np.asfortranarray(one)) == digest(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["a", "bc"], ["ab", "c"]),
        ([["a"], "b"], [["a", "b"]]),
        (["1"], [b"1"]),
        ([1], [1.0]),
        ([np.array(["a"], dtype=object)], [np.array(["b"], dtype=object)]),
    ],
)
def test_borders_between_values_count(one: list[Any], other: list[Any]) -> None:
    """What is run together differently is different."""
    assert digest(one) != digest(other)


def test_tuples_are_lists() -> None:
    """They become lists on the way to another process."""
    assert digest((1, (2, "x"))) == digest([1, [2, "x"]])


def load(folder: Path, helper: str, own: str = "") -> hs.Pipeline:
    """Write a pipeline that imports a module from beside it, and load it anew."""
    folder.mkdir(exist_ok=True)
    (folder / "digest_helper.py").write_text(helper)
    (folder / "digest_pipeline.py").write_text(
        "import digest_helper\nimport heterosis as hs\n"
        "class Double:\n    def run(self, x):\n        return digest_helper.FACTOR * x\n"
        "double = hs.stage(Double)\n"
        "@hs.pipeline(slo=hs.Slo(latency_ms=10))\nasync def doubled(x: int) -> int:\n    return await double(x)\n" + own
    )
    for name in [name for name in sys.modules if "digest_pipeline" in name or name == "digest_helper"]:
        del sys.modules[name]
    return hs.load_pipeline(folder / "digest_pipeline.py")


def test_source_digest_sees_the_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It changes with the pipeline's file and with a module beside it, not with the folder."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    first = source_digest(load(tmp_path / "one", "FACTOR = 2\n"))
    assert source_digest(load(tmp_path / "one", "FACTOR = 2\n")) == first
    assert source_digest(load(tmp_path / "one", "FACTOR = 3\n")) != first
    assert source_digest(load(tmp_path / "one", "FACTOR = 2\n", own="# changed\n")) != first


def test_code_without_a_file_is_never_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was typed in by hand cannot be recognised."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    pipeline = load(tmp_path / "one", "FACTOR = 2\n")
    monkeypatch.setitem(sys.modules, pipeline.function.__module__, types.ModuleType("typed"))
    assert source_digest(pipeline) != source_digest(pipeline)


def test_cpu_names_its_kind_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the instructions that matter, and without /proc none."""
    assert set(cpu()[1:]) <= digests.CPU_FEATURES
    monkeypatch.setattr(Path, "read_text", lambda *_: (_ for _ in ()).throw(OSError))
    assert len(cpu()) == 1
