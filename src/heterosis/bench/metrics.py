"""What a server says that it has spent so far: joules and CPU time, from its Prometheus metrics.

- ``heterosis_energy_joules_total{domain="idle|dynamic", quality="counter|sampled|modelled"}``
- ``heterosis_cpu_seconds_total``

A server without these metrics has not spent nothing: what it spent is unknown.
"""

from collections.abc import Mapping

import msgspec

from heterosis.terms import UNKNOWN, Energy, Quality
from heterosis.terms.errors import HeterosisError

ENERGY = "heterosis_energy_joules_total"
CPU = "heterosis_cpu_seconds_total"
IDLE, DYNAMIC = "idle", "dynamic"


class Readings(msgspec.Struct, frozen=True, kw_only=True):
    """Cumulative counters at one moment, or the difference of two."""

    idle: Energy = UNKNOWN
    dynamic: Energy = UNKNOWN
    cpu_s: float | None = None

    def since(self, before: "Readings") -> "Readings":
        """What was spent from ``before`` until now; a counter that fell (the server restarted) is unknown."""
        cpu_s = None if self.cpu_s is None or before.cpu_s is None else self.cpu_s - before.cpu_s
        return Readings(
            idle=_spent(before.idle, self.idle),
            dynamic=_spent(before.dynamic, self.dynamic),
            cpu_s=None if cpu_s is None or cpu_s < 0 else cpu_s,
        )


def parse_readings(text: str) -> Readings:
    """Read Prometheus' text format. Counters of one domain (of several devices, say) are added up."""
    from prometheus_client.parser import text_string_to_metric_families

    energy: dict[str, Energy] = {}
    cpu_s: float | None = None
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == ENERGY:
                    domain, amount = _energy(sample.labels, sample.value)
                    energy[domain] = energy[domain] + amount if domain in energy else amount
                elif sample.name == CPU:
                    cpu_s = (cpu_s or 0.0) + sample.value
    except (ValueError, KeyError, IndexError) as error:
        raise HeterosisError(f"the server's metrics cannot be read: {error!r}") from None
    return Readings(idle=energy.get(IDLE, UNKNOWN), dynamic=energy.get(DYNAMIC, UNKNOWN), cpu_s=cpu_s)


def _energy(labels: Mapping[str, str], joules: float) -> tuple[str, Energy]:
    quality = Quality(labels["quality"])
    return labels["domain"], UNKNOWN if quality is Quality.NONE else Energy(joules, quality)


def _spent(before: Energy, after: Energy) -> Energy:
    spent = after - before
    return UNKNOWN if spent.joules is not None and spent.joules < 0 else spent
