"""One profile of many: of several nodes, or measured at different times."""

from collections.abc import Sequence
from typing import Any

import msgspec

from heterosis.terms import Profile
from heterosis.terms.errors import UsageError


def merge(profiles: Sequence[Profile]) -> Profile:
    """Put profiles of one pipeline together. Where several have the same point, the one measured last counts.

    Nodes of one device type share their points, so they are taken to be alike. Raise UsageError where the profiles are
    of several pipelines.
    """
    pipelines = sorted({profile.pipeline for profile in profiles})
    if len(pipelines) != 1:
        raise UsageError(f"profiles of one pipeline can be merged; these are of {', '.join(pipelines) or 'none'}")
    in_time = sorted(profiles, key=lambda profile: profile.measured_at)
    points = {(point.configuration, point.batch): point for each in in_time for point in each.points}
    starts = {start.configuration: start for each in in_time for start in each.cold_starts}
    pairs = {(pair.configuration, pair.beside): pair for each in in_time for pair in each.interference}
    origins = [origin for each in in_time for origin in each.origins]
    return Profile(
        pipeline=pipelines[0],
        machine="; ".join(dict.fromkeys(each.machine for each in in_time)),
        measured_at=in_time[-1].measured_at,
        versions={name: version for each in in_time for name, version in each.versions.items()},
        points=tuple(sorted(points.values(), key=lambda point: (*_fields(point.configuration), point.batch))),
        excluded=tuple(dict.fromkeys(exclusion for each in in_time for exclusion in each.excluded)),
        cold_starts=tuple(starts.values()),
        interference=tuple(pairs.values()),
        origins=tuple(origin for number, origin in enumerate(origins) if origin not in origins[:number]),
    )


def _fields(value: Any) -> tuple[Any, ...]:
    return msgspec.structs.astuple(value)
