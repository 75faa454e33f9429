"""Plans made elsewhere: what names a device or a provider that is not here runs on this machine's CPU, with a warning.

The times of such an instance are not those that were planned with; the scheduler learns them as it serves.
"""

from collections.abc import Callable

from msgspec.structs import replace

from heterosis.engines.emulated import EmulatedEngine
from heterosis.engines.onnxruntime import PROVIDERS, present
from heterosis.terms import Device, Placement, Plan, StagePlan, Variant

CPU = "onnxruntime"


def fitted(plan: Plan, node: str, device: Device, warn: Callable[[str], object]) -> Plan:
    """Return a plan whose instances can all run on this device of this node; ``warn`` is told what was changed."""
    stages = tuple(_stage(stage, warn) for stage in plan.stages)
    renamed = {
        (stage.stage, variant.name): _variant(variant).name for stage in plan.stages for variant in _variants(stage)
    }
    placements = []
    for each in plan.placements:
        emulated = plan.variant(each.configuration).engine == EmulatedEngine.name
        name = renamed[each.configuration.stage, each.configuration.variant]
        kept = replace(each, configuration=replace(each.configuration, variant=name))
        placements.append(kept if emulated else _placement(kept, node, device, warn))
    points = tuple(
        replace(point, configuration=replace(at, variant=renamed.get((at.stage, at.variant), at.variant)))
        for point in plan.points
        for at in (point.configuration,)
    )
    return replace(plan, stages=stages, placements=tuple(placements), points=points)


def _placement(placement: Placement, node: str, device: Device, warn: Callable[[str], object]) -> Placement:
    if placement.device == device.name and max(placement.slots, default=0) < device.slots:
        return placement if placement.node == node else replace(placement, node=node)
    slots = tuple(sorted({slot % device.slots for slot in placement.slots}))
    threads = min(placement.configuration.threads, device.slots)
    warn(
        f"instance {placement.instance} was planned for {placement.device} ({placement.configuration.device_type}), "
        f"slots {list(placement.slots)}, which is not here: it runs on {device.name} instead, and takes its time"
    )
    configuration = replace(placement.configuration, threads=threads)
    return replace(placement, node=node, device=device.name, slots=slots, configuration=configuration)


def _stage(stage: StagePlan, warn: Callable[[str], object]) -> StagePlan:
    for variant in _variants(stage):
        if _variant(variant) != variant:
            warn(f"stage {stage.stage}: {variant.engine} is not available here; {variant.model} runs on {CPU} instead")
    return replace(stage, variant=_variant(stage.variant), variants=tuple(map(_variant, stage.variants)))


def _variants(stage: StagePlan) -> tuple[Variant, ...]:
    return tuple(dict.fromkeys((stage.variant, *stage.variants)))


def _variant(variant: Variant) -> Variant:
    """The same on the CPU where its provider is not here."""
    if variant.engine == CPU or variant.engine not in PROVIDERS or present(variant.engine):
        return variant
    return replace(variant, engine=CPU)
