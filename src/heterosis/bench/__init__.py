"""Open-loop load on a running server, and an honest account of how it did."""

from heterosis.bench.load import Outcome, offer
from heterosis.bench.metrics import Readings, parse_readings
from heterosis.bench.report import Report, make_report
from heterosis.bench.run import Load, run_load
from heterosis.bench.shots import Shot, accuracy_of, make_shots

__all__ = [
    "Load",
    "Outcome",
    "Readings",
    "Report",
    "Shot",
    "accuracy_of",
    "make_report",
    "make_shots",
    "offer",
    "parse_readings",
    "run_load",
]
