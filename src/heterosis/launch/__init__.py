"""Starts workers: one launcher a file."""

from heterosis.launch.launcher import Launcher

__all__ = ["Launcher"]
