"""A plan in words."""

from collections.abc import Iterator

from heterosis.planning.options import counted
from heterosis.terms import Energy, Option, Placement, Plan, Quality


def explain(plan: Plan) -> list[str]:
    """Return a plan as lines of text: what it is, what it should do, why, and why not otherwise."""
    return list(_lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    slo = plan.slo
    floor = "" if slo.min_accuracy is None else f", accuracy at least {slo.min_accuracy:.4g}"
    yield f"{plan.pipeline}: p{slo.percentile:g} within {slo.latency_ms:g} ms{floor}, at {plan.rate_rps:g} requests/s"
    yield f"predicted: {', '.join(_predicted(plan))}"
    for reason in plan.reasons:
        yield f"- {reason}"
    for stage in plan.stages:
        yield ""
        placements = [each for each in plan.placements if each.configuration.stage == stage.stage]
        yield f"{stage.stage}: {_placed(placements)}"
        yield (
            f"  budget {stage.budget_ms:.0f} ms, {stage.tail_ms:.0f} ms left for what follows, "
            f"{stage.demand_per_s:.3g} calls/s, busy {stage.utilisation:.0%}"
        )
        for option in sorted(
            (each for each in plan.options if each.stage == stage.stage), key=lambda each: not each.chosen
        ):
            yield f"  {'*' if option.chosen else '-'} {_name(option)}: {option.reason}"


def _predicted(plan: Plan) -> Iterator[str]:
    predicted = plan.predicted
    yield f"{predicted.latency_ms:.0f} ms"
    if predicted.accuracy is not None:
        yield f"accuracy {predicted.accuracy:.4g}"
    yield f"busiest slot {predicted.utilisation:.0%}"
    yield f"{_energy(predicted.dynamic_energy_per_request, 'J')} of dynamic energy per request"
    yield f"{_energy(predicted.power, 'W')} for the fleet"


def _energy(energy: Energy, unit: str) -> str:
    if energy.joules is None or energy.quality is Quality.NONE:
        return f"unknown {unit}"
    return f"{energy.joules:.3g} {unit} ({energy.quality.value})"


def _placed(placements: list[Placement]) -> str:
    first = placements[0]
    at = first.configuration
    slots = ", ".join("+".join(map(str, each.slots)) for each in placements) if first.slots else "any, unmanaged"
    threads = counted(at.threads, "thread") if at.threads else "the engine's own threads"
    return (
        f"{at.variant}, {threads}, batch up to {first.max_batch}, {counted(len(placements), 'instance')} "
        f"on {first.node}/{first.device}, slots {slots}"
    )


def _name(option: Option) -> str:
    at = option.configuration
    mode = "" if at.power_mode == "default" else f", {at.power_mode}"
    return f"{at.variant}, {at.device_type}{mode}, {counted(at.threads, 'thread')}, batch {option.batch}"
