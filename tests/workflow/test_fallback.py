"""A plan that names what is not here is served all the same, with a warning (Triton refuses to start)."""

from msgspec.structs import replace

from heterosis.terms import Device, DeviceType
from heterosis.testing import make_plan, make_variant
from heterosis.workflow.fallback import fitted

HERE = Device(name="cpu", type=DeviceType(name="a cpu", kind="cpu"), slots=2)


def test_a_plan_for_this_machine_stays_as_it_is() -> None:
    """Nothing is said."""
    plan = make_plan({"a": 10.0}, variants={"a": make_variant("a", engine="onnxruntime")})
    mine = replace(plan, placements=tuple(replace(each, node="vm", device="cpu") for each in plan.placements))
    warnings: list[str] = []
    assert fitted(mine, "vm", HERE, warnings.append) == mine
    assert not warnings


def test_instances_on_devices_that_are_not_here_move_to_the_cpu() -> None:
    """On slots that it has; each is named."""
    plan = make_plan({"a": 10.0}, slots=4, variants={"a": make_variant("a", engine="onnxruntime")})
    warnings: list[str] = []
    found = fitted(plan, "vm", HERE, warnings.append)
    assert [(each.node, each.device, each.slots) for each in found.placements] == [
        ("vm", "cpu", (slot % 2,)) for slot in range(4)
    ]
    assert len(warnings) == 4
    assert "instance a-0 was planned for toy" in warnings[0]


def test_a_provider_that_is_not_here_falls_back_to_the_cpu() -> None:
    """Its operating points stay with it, until the scheduler has learnt better ones."""
    plan = make_plan({"a": 10.0}, variants={"a": make_variant("a", engine="onnxruntime-tensorrt")})
    warnings: list[str] = []
    found = fitted(plan, "vm", HERE, warnings.append)
    assert {found.variant(each.configuration).engine for each in found.placements} == {"onnxruntime"}
    assert {point.configuration.variant for point in found.points} == {"m/onnxruntime-any"}
    assert "onnxruntime-tensorrt is not available here" in warnings[0]


def test_emulated_instances_stay_where_they_are() -> None:
    """Their devices are not here by design."""
    plan = make_plan({"a": 10.0})
    warnings: list[str] = []
    assert fitted(plan, "vm", HERE, warnings.append) == plan
    assert not warnings
