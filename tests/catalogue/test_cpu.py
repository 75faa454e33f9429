"""Finding CPUs in the catalogue."""

import re

import pytest

from heterosis.catalogue import CpuIdentity, find_cpu
from heterosis.catalogue.cpu import catalogue
from heterosis.terms import Quality

AVX2 = frozenset({"avx", "f16c", "rdrand", "avx2"})
BROADWELL = AVX2 | {"adx", "rdseed"}
SKYLAKE = BROADWELL | {"avx512f"}
ICE_LAKE = SKYLAKE | {"avx512_vnni", "avx512_vbmi2"}
SAPPHIRE_RAPIDS = ICE_LAKE | {"avx512_bf16", "avx512_fp16"}
ZEN = AVX2 | {"sha_ni"}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Intel(R) Xeon(R) Platinum 8488C", "intel-sapphire-rapids"),
        ("Intel(R) Xeon(R) Platinum 8573C", "intel-emerald-rapids"),
        ("Intel(R) Xeon(R) 6972P", "intel-granite-rapids"),
        ("Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", "intel-ice-lake"),
        ("Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz", "intel-cascade-lake"),
        ("Intel(R) Xeon(R) Platinum 8175M CPU @ 2.50GHz", "intel-skylake"),
        ("Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz", "intel-broadwell"),
        ("Intel(R) Xeon(R) CPU E5-2676 v3 @ 2.40GHz", "intel-haswell"),
        ("Intel(R) Xeon(R) CPU E5-2670 v2 @ 2.50GHz", "intel-ivy-bridge"),
        ("Intel(R) Xeon(R) CPU E5-2670 0 @ 2.60GHz", "intel-sandy-bridge"),
        ("Intel(R) Xeon(R) E-2278G CPU @ 3.40GHz", "intel-coffee-lake"),
        ("Intel Xeon Processor (Cascadelake)", "intel-cascade-lake"),
        ("AMD EPYC 9R14", "amd-epyc-4th-gen"),
        ("AMD EPYC 7R13 Processor", "amd-epyc-3rd-gen"),
        ("AMD EPYC 7B12", "amd-epyc-2nd-gen"),
        ("AMD EPYC 7571", "amd-epyc-1st-gen"),
    ],
)
def test_name(name: str, found: str) -> None:
    """The model names that clouds show are recognised."""
    vendor = "AuthenticAMD" if name.startswith("AMD") else "GenuineIntel"
    assert find_cpu(CpuIdentity(name=name, vendor=vendor), 4).name == f"{found}-4vcpu"


@pytest.mark.parametrize(
    ("name", "number", "flags", "found"),
    [
        ("Intel(R) Xeon(R) Processor", (6, 143), SAPPHIRE_RAPIDS, "intel-sapphire-rapids"),
        ("Intel(R) Xeon(R) Processor", (6, 167), SAPPHIRE_RAPIDS, "intel-sapphire-rapids"),
        ("Intel(R) Xeon(R) Processor @ 2.30GHz", (6, 207), SAPPHIRE_RAPIDS, "intel-emerald-rapids"),
        ("Intel(R) Xeon(R) Processor", (6, 85), SAPPHIRE_RAPIDS, "intel-sapphire-rapids"),
        ("Intel(R) Xeon(R) CPU @ 2.60GHz", (6, 106), ICE_LAKE, "intel-ice-lake"),
        ("Intel(R) Xeon(R) CPU @ 2.80GHz", (6, 85), SKYLAKE | {"avx512_vnni"}, "intel-cascade-lake"),
        ("Intel(R) Xeon(R) CPU @ 2.00GHz", (6, 85), SKYLAKE, "intel-skylake"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", (6, 79), BROADWELL, "intel-broadwell"),
        ("Intel(R) Xeon(R) CPU @ 2.30GHz", (6, 63), AVX2, "intel-haswell"),
        ("AMD EPYC Processor", (25, 17), ZEN | {"clwb", "vaes", "avx512f"}, "amd-epyc-4th-gen"),
        ("AMD EPYC Processor", (0, 0), ZEN | {"clwb", "vaes"}, "amd-epyc-3rd-gen"),
        ("AMD EPYC Processor (with IBPB)", (23, 49), ZEN | {"clwb"}, "amd-epyc-2nd-gen"),
        ("AMD EPYC Processor", (23, 1), ZEN, "amd-epyc-1st-gen"),
        ("AMD Eng Sample", (23, 49), ZEN | {"clwb"}, "amd-epyc-2nd-gen"),
    ],
)
def test_masked_name(name: str, number: tuple[int, int], flags: frozenset[str], found: str) -> None:
    """Behind a masked name, instructions decide, and the number among CPUs with the same instructions."""
    vendor = "AuthenticAMD" if name.startswith("AMD") else "GenuineIntel"
    cpu = CpuIdentity(name=name, vendor=vendor, family=number[0], model=number[1], flags=flags)
    assert find_cpu(cpu, 2).name == f"{found}-2vcpu"


@pytest.mark.parametrize(
    ("name", "vendor", "flags"),
    [
        ("12th Gen Intel(R) Core(TM) i7-1260P", "GenuineIntel", BROADWELL),
        ("AMD EPYC 9R45", "AuthenticAMD", ZEN | {"clwb", "vaes", "avx512f", "avx512_vp2intersect"}),
        ("AMD EPYC Processor", "AuthenticAMD", ZEN | {"clwb", "vaes", "avx512f", "avx512_vp2intersect"}),
        ("Intel(R) Xeon(R) Platinum 8380H CPU @ 2.90GHz", "GenuineIntel", SKYLAKE | {"avx512_vnni", "avx512_bf16"}),
        ("Intel(R) Xeon(R) CPU @ 2.90GHz", "GenuineIntel", SKYLAKE | {"avx512_vnni", "avx512_bf16"}),
        ("Cortex-A76", "ARM", frozenset()),
        ("", "", frozenset()),
    ],
)
def test_unknown_cpu_has_unknown_power(name: str, vendor: str, flags: frozenset[str]) -> None:
    """A CPU outside the catalogue has no power figures, rather than zeros or another CPU's."""
    found = find_cpu(CpuIdentity(name=name, vendor=vendor, family=6, model=85, flags=flags), 8)
    assert found.quality is Quality.NONE
    assert found.power_modes[0].idle_power_w is None
    assert found.power_modes[0].active_power_w is None
    assert "not in the catalogue" in found.source
    assert found.name.endswith("-8vcpu")


def test_power_is_that_of_all_cores_and_names_its_source() -> None:
    """Power scales with the cores; the source names the data and the way of recognition."""
    found = find_cpu(CpuIdentity(name="AMD EPYC 7B12", vendor="AuthenticAMD"), 4)
    mode = found.power_modes[0]
    assert (mode.idle_power_w, mode.active_power_w) == pytest.approx((4 * 0.4743, 4 * 1.693))
    assert found.quality is Quality.MODELLED
    assert re.search("EPYC 2nd Gen, recognised by its name.*ccf-coefficients.*SPECpower", found.source)


def test_catalogue_is_sound() -> None:
    """Every entry has its source, some way to be found, and less power idle than active."""
    for entry in catalogue().cpu:
        assert entry.source in catalogue().sources
        assert entry.names
        assert all(re.compile(pattern) for pattern in entry.names)
        assert 0 < entry.idle_power_w_per_vcpu < entry.active_power_w_per_vcpu < 10
