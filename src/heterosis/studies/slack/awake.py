"""How long the domains of a run were awake, from what ran on them and when."""

from collections import defaultdict

from heterosis.simulation import Occupancy
from heterosis.studies.slack.published import SLEEP_AFTER_S


def awake_s(occupancy: Occupancy) -> float:
    """Seconds in which a domain ran something, or was not yet asleep after it; of all domains together."""
    lanes = {
        (event["pid"], event["tid"]): event["args"]["name"].partition(" ")[0]
        for event in occupancy.events
        if event["name"] == "thread_name"
    }
    ran: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for event in occupancy.events:
        if event["ph"] == "X":
            ran[lanes[event["pid"], event["tid"]]].append((event["ts"], event["ts"] + event["dur"]))
    return sum(_union(sorted(spans), SLEEP_AFTER_S * 1e6) for spans in ran.values()) / 1e6


def _union(spans: list[tuple[float, float]], after: float) -> float:
    """Length of the union of spans in order, each lengthened by ``after``."""
    length, until = 0.0, float("-inf")
    for begin, end in spans:
        length += max(end + after - max(begin, until), 0.0)
        until = max(until, end + after)
    return length
