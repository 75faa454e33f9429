"""What a reading of the utilisation meter costs and sees, and what codecarbon says of the same work.

A family of nine is read, as a server and its workers; children burn CPU time and end before they are ever read.
codecarbon, where it is installed, models the CPU too on a machine without counters, from its thermal design power: the
two need not agree, and the figures say by how much they do not.
"""

import importlib.util
import os
import statistics
import subprocess
import sys
import time

import psutil

from heterosis.devices import local_fleet
from heterosis.profiling.meters import DYNAMIC, IDLE, UtilisationMeter
from heterosis.profiling.meters.processes import Families

BURN = "import time\nend = time.process_time() + {0}\nwhile time.process_time() < end: pass"
WORKERS = 8
CHILDREN = 5
BURNT_S = 0.2
READINGS = 30


def run() -> dict[str, float]:
    """Measure in this process, with children of its own."""
    workers = [subprocess.Popen(["sleep", "60"], start_new_session=True) for _ in range(WORKERS)]  # noqa: S607
    try:
        return _cost() | _children() | _codecarbon()
    finally:
        for process in workers:
            process.kill()
            process.wait()


def _cost() -> dict[str, float]:
    """CPU time of a reading of this process and its children, ours and with psutil, one after the other."""
    families = Families()
    families.watch(os.getpid())
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(READINGS):
        for read, found in ((families.cpu_seconds, ours), (_walk, theirs)):
            began = time.thread_time()
            read()
            found.append((time.thread_time() - began) * 1e3)
    return {
        f"ms of CPU a reading of {WORKERS + 1} processes": statistics.median(ours),
        "ms of CPU the same with psutil": statistics.median(theirs),
    }


def _walk() -> float:
    root = psutil.Process()
    return float(sum(sum(process.cpu_times()[:2]) for process in (root, *root.children(recursive=True))))


def _children() -> dict[str, float]:
    """Of the CPU time of children that end unread, what is seen."""
    families = Families()
    families.watch(os.getpid())
    before = os.times()
    for _ in range(CHILDREN):
        subprocess.run([sys.executable, "-c", BURN.format(BURNT_S)], check=True)  # noqa: S603
    spent = sum(os.times()[:4]) - sum(before[:4])
    return {"share seen of the CPU time of children that ended unread": families.cpu_seconds() / spent}


def _codecarbon() -> dict[str, float]:
    if importlib.util.find_spec("codecarbon") is None:
        print("codecarbon is not installed: not compared")
        return {}
    from codecarbon import OfflineEmissionsTracker

    (device,) = local_fleet().devices
    tracker = OfflineEmissionsTracker(
        country_iso_code="DEU", measure_power_secs=0.5, save_to_file=False, log_level="error", tracking_mode="process"
    )
    tracker.start()
    meter = UtilisationMeter(device, [os.getpid()])
    subprocess.run([sys.executable, "-c", BURN.format(5)], check=True)  # noqa: S603
    ours = meter.read()
    tracker.stop()
    return {
        "joules of a busy core for 5 s, ours, dynamic": ours[DYNAMIC].joules or 0.0,
        "joules of it, ours, with idle": (ours[IDLE].joules or 0.0) + (ours[DYNAMIC].joules or 0.0),
        "joules of it, codecarbon (CPU)": tracker.final_emissions_data.cpu_energy * 3.6e6,
    }
