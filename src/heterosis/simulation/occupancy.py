"""What ran where and when, as a trace that chrome://tracing, Perfetto and other viewers of its format show.

The format is the JSON of Chrome's trace viewer ("Trace Event Format", catapult project): a process for each node, a
thread for each slot of its devices, a slice for each batch; drops are instant events, queue lengths are counters.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from heterosis.scheduling.queues import Queue
from heterosis.simulation.progress import Flight

SCHEDULER = "scheduler"


class Occupancy:
    """Collects a run. Hand a new one to each run, then `write` it."""

    def __init__(self) -> None:
        """Start empty."""
        self.events: list[dict[str, Any]] = []
        self._processes: dict[str, int] = {}
        self._threads: dict[tuple[str, str], int] = {}
        self._lengths: dict[str, int] = {}
        self._process(SCHEDULER)

    def batch(self, flight: Flight, end: float, ended: str) -> None:
        """Take a batch that ran until ``end`` (seconds) on every slot of its instance, to be ``done`` or ``lost``."""
        instance, effect, begin = flight.instance, flight.effect, flight.begin
        placement = instance.placement
        shown = {
            "instance": instance.name,
            "variant": placement.configuration.variant,
            "power_mode": placement.configuration.power_mode,
            "calls": effect.calls,
            "items": flight.size,
            "reason": effect.reason,
            "ended": ended,
        }
        lanes = [f"{placement.device} slot {slot}" for slot in placement.slots] or [f"{instance.name} (unmanaged)"]
        for lane in lanes:
            process, thread = self._thread(placement.node, lane)
            name = f"{placement.configuration.stage} x{flight.size}"
            event = {"name": name, "cat": ended, "ph": "X", "ts": begin * 1e6, "dur": (end - begin) * 1e6}
            self.events.append(event | {"pid": process, "tid": thread, "args": shown})

    def drop(self, at: float, request: str, kind: str, reason: str) -> None:
        """Take a request that was refused or given up."""
        event = {"name": f"{kind}: {request}", "cat": "drop", "ph": "i", "s": "p", "ts": at * 1e6, "tid": 0}
        self.events.append(event | {"pid": self._process(SCHEDULER), "args": {"reason": reason}})

    def queues(self, at: float, queues: Mapping[str, Queue]) -> None:
        """Take the lengths of the queues; those that did not change are not repeated."""
        for stage, queue in queues.items():
            length = len(queue)
            if length != self._lengths.get(stage, 0):
                self._lengths[stage] = length
                event = {"name": f"waiting for {stage}", "ph": "C", "ts": at * 1e6, "args": {"calls": length}}
                self.events.append(event | {"pid": self._process(SCHEDULER)})

    def encode(self) -> bytes:
        """Return the trace as JSON."""
        return msgspec.json.encode({"displayTimeUnit": "ms", "traceEvents": self.events})

    def write(self, path: Path) -> None:
        """Write the trace to a file."""
        path.write_bytes(self.encode())

    def _process(self, name: str) -> int:
        if name not in self._processes:
            self._processes[name] = len(self._processes)
            self._name("process_name", name, self._processes[name])
        return self._processes[name]

    def _thread(self, node: str, lane: str) -> tuple[int, int]:
        process = self._process(f"node {node}")
        if (node, lane) not in self._threads:
            self._threads[node, lane] = len(self._threads) + 1
            self._name("thread_name", lane, process, self._threads[node, lane])
        return process, self._threads[node, lane]

    def _name(self, what: str, name: str, process: int, thread: int = 0) -> None:
        self.events.append({"name": what, "ph": "M", "pid": process, "tid": thread, "args": {"name": name}})
