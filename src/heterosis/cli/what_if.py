"""What is asked of a fleet on the command line, and the changes to it that `--what-if` tries."""

from typing import TYPE_CHECKING

import msgspec

from heterosis.terms.errors import UsageError

if TYPE_CHECKING:
    from heterosis.terms import Fleet


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A load, its SLO, and the fleet to serve it; None where the pipeline's own SLO says it."""

    rate_rps: float
    latency_ms: float | None
    min_accuracy: float | None
    fleet: "Fleet"


def changed(asked: Asked, text: str) -> Asked:
    """Apply changes such as ``rate=2x,slo=300,accuracy=0.9,devices=orin-nx:+1``. Raise UsageError for anything else."""
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        replace = msgspec.structs.replace
        if name == "rate":
            rate_rps = asked.rate_rps * _number(value[:-1], part) if value.endswith("x") else _number(value, part)
            asked = replace(asked, rate_rps=rate_rps)
        elif name == "slo":
            asked = replace(asked, latency_ms=_number(value, part))
        elif name == "accuracy":
            asked = replace(asked, min_accuracy=_number(value, part))
        elif name == "devices":
            kind, _, count = value.partition(":")
            asked = replace(asked, fleet=_with(asked.fleet, kind, round(_number(count, part))))
        else:
            raise UsageError(f"--what-if takes rate=, slo=, accuracy= and devices=TYPE:+N, got {part!r}")
    return asked


def _number(text: str, part: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{part!r} in --what-if has no number; write it like rate=2x or devices=orin-nx:+1") from None


def _with(fleet: "Fleet", kind: str, count: int) -> "Fleet":
    """Return a fleet with more devices of a type, or fewer.

    More come on a node of their own, as far away as the nearest that the fleet has of the type.
    """
    from heterosis.catalogue.fleet import make_fleet
    from heterosis.terms import Fleet

    replace = msgspec.structs.replace
    if count >= 0:
        alike = [node for node in fleet.nodes if any(device.type.name == kind for device in node.devices)]
        if alike:
            model = next(device for device in alike[0].devices if device.type.name == kind)
            devices = tuple(replace(model, name=f"{kind}-more-{number}") for number in range(1, count + 1))
            near = min(alike, key=lambda node: node.link_ms)
        else:
            content = f'[[node]]\nname = "more"\ndevice = [{{ type = "{kind}", count = {max(count, 1)} }}]'
            near = make_fleet(content.encode(), "--what-if").nodes[0]
            devices = near.devices[:count]
        more = replace(near, name=f"more-{kind}", devices=devices)
        return Fleet(nodes=(*fleet.nodes, more)) if devices else fleet
    known = sum(device.type.name == kind for device in fleet.devices)
    if known < -count:
        raise UsageError(f"the fleet has {known} devices of type {kind!r}, so {-count} cannot go")
    left, nodes = known + count, []
    for node in fleet.nodes:
        kept = []
        for device in node.devices:
            if device.type.name != kind or left > 0:
                kept.append(device)
                left -= device.type.name == kind
        nodes.append(replace(node, devices=tuple(kept)))
    return Fleet(nodes=tuple(node for node in nodes if node.devices))
