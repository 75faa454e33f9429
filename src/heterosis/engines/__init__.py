"""Inference engines, one a file, behind `Engine`."""

from heterosis.engines.engine import Engine

ENGINES: dict[str, Engine] = {}
