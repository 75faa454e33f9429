"""Starts workers: one launcher a file."""

from heterosis.launch.launcher import Launcher
from heterosis.launch.local import LocalLauncher

__all__ = ["Launcher", "LocalLauncher"]
