"""Whether a profile still holds."""

import msgspec
import pytest

from heterosis.devices import describe
from heterosis.profiling.staleness import why_stale
from heterosis.terms import Provenance, Variant, VariantSet

VARIANT = Variant(stage="read", model="small", engine="e", precision="fp32", artifact="", digest="d1")
VARIANTS = VariantSet(pipeline="p", variants=(VARIANT,))
ORIGIN = Provenance(
    machine="this",
    measured_at="2026-01-01T00:00:00+00:00",
    device_types=("cpu-a",),
    versions={"onnxruntime": "1.2", "python": "3.11.7"},
    digests={"read/small/e-fp32": "d1"},
)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"machine": "another CPU"}, "they are of another CPU, and this is this"),
        ({"versions": {"onnxruntime": "1.1"}}, "onnxruntime was 1.1, and is 1.2"),
        ({"digests": {"read/small/e-fp32": "d0"}}, "have changed: read/small/e-fp32"),
        ({"digests": {"read/gone/e-fp32": "d0"}}, None),
        ({"machine": "another", "device_types": ("jetson",)}, None),
        ({"machine": "another", "source": "a paper"}, None),
        ({"device_types": ("jetson",), "digests": {"read/small/e-fp32": "d0"}}, "have changed"),
    ],
    ids=str,
)
def test_what_changed_is_named(change: dict[str, object], reason: str | None) -> None:
    """Each change has its reason; of other machines only the models are compared, of published figures nothing."""
    origin = msgspec.structs.replace(ORIGIN, **change)
    found = why_stale(
        [origin], ["cpu-a"], VARIANTS, machine="this", versions={"onnxruntime": "1.2", "python": "3.11.7"}
    )
    if reason is None:
        assert found == []
    else:
        (said,) = found
        assert said.startswith("the figures of 2026-01-01T00:00:00+00:00 are stale: ")
        assert reason in said


def test_by_default_this_machine_counts() -> None:
    """Its CPU, and what is installed here."""
    here = msgspec.structs.replace(ORIGIN, machine=describe(), versions={})
    assert why_stale([here], ["cpu-a"], VARIANTS) == []
    gone = msgspec.structs.replace(here, versions={"no-such-engine": "1"})
    assert "no-such-engine was 1, and is not installed" in why_stale([gone], ["cpu-a"], VARIANTS)[0]
