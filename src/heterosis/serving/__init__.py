"""Drives the scheduling core in real time: gateway, router, workers, transport."""
