"""What a server says that it has spent."""

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest

from heterosis.bench.metrics import Readings, parse_readings
from heterosis.terms import UNKNOWN, Energy, Quality
from heterosis.terms.errors import HeterosisError


def test_counters_of_a_real_registry() -> None:
    """Counters as prometheus-client writes them are read; several devices add up, with the worst quality."""
    registry = CollectorRegistry()
    joules = Counter("heterosis_energy_joules", "Energy", ["domain", "quality", "device"], registry=registry)
    joules.labels("idle", "modelled", "cpu0").inc(100)
    joules.labels("dynamic", "counter", "gpu0").inc(5)
    joules.labels("dynamic", "modelled", "cpu0").inc(2.5)
    Counter("heterosis_cpu_seconds", "CPU time", registry=registry).inc(7)
    readings = parse_readings(generate_latest(registry).decode())
    assert readings.idle == Energy(100.0, Quality.MODELLED)
    assert readings.dynamic == Energy(7.5, Quality.MODELLED)
    assert readings.cpu_s == 7


def test_absent_counters_are_unknown() -> None:
    """A server without these metrics has spent an unknown amount, not none."""
    assert parse_readings("# HELP other x\n# TYPE other gauge\nother 3\n") == Readings()
    assert Readings().idle == UNKNOWN
    assert Readings().cpu_s is None


def test_energy_of_quality_none_is_unknown() -> None:
    """A figure without quality is no figure."""
    text = 'heterosis_energy_joules_total{domain="idle",quality="none"} 0\n'
    assert parse_readings(text).idle == UNKNOWN


def test_difference() -> None:
    """What was spent is the difference of the counters."""
    before = Readings(idle=Energy(10.0, Quality.MODELLED), cpu_s=1.0)
    after = Readings(idle=Energy(14.0, Quality.MODELLED), dynamic=Energy(3.0, Quality.COUNTER), cpu_s=1.5)
    assert after.since(before) == Readings(idle=Energy(4.0, Quality.MODELLED), cpu_s=0.5)


def test_restarted_server_is_unknown() -> None:
    """A counter that fell says nothing."""
    before = Readings(idle=Energy(10.0, Quality.MODELLED), cpu_s=2.0)
    assert Readings(idle=Energy(4.0, Quality.MODELLED), cpu_s=1.0).since(before) == Readings()


@pytest.mark.parametrize(
    "text",
    ["heterosis_cpu_seconds_total nonsense\n", 'heterosis_energy_joules_total{domain="idle"} 3\n', "{{{\n"],
)
def test_unreadable_metrics(text: str) -> None:
    """Metrics that are none are an error of the server's."""
    with pytest.raises(HeterosisError, match="metrics cannot be read"):
        parse_readings(text)
