"""Runs the benchmarks named on the command line, by default all that are quick."""

import argparse
import json
import sys
from pathlib import Path

from benchmarks import (
    ablation,
    agreement,
    conformance,
    day,
    fleet_agreement,
    layers,
    loop,
    loop_ocr,
    loop_soak,
    meters,
    ocr_agreement,
    ocr_overhead,
    overhead,
    overload,
    planner,
    scheduler,
    soak,
    splitting,
    start,
)

BENCHMARKS = {"overhead": overhead.run, "scheduler": scheduler.run, "planner": planner.run, "day": day.run}
ON_REQUEST = {
    "ablation": ablation.run,
    "agreement": agreement.run,
    "conformance": conformance.run,
    "fleet-agreement": fleet_agreement.run,
    "layers": layers.run,
    "loop": loop.run,
    "loop-kill": loop.run_kill,
    "loop-ocr": loop_ocr.run,
    "loop-slow": loop.run_slow,
    "loop-soak": loop_soak.run,
    "loop-soak-virtual": loop_soak.run_virtual,
    "meters": meters.run,
    "ocr-agreement": ocr_agreement.run,
    "ocr-overhead": ocr_overhead.run,
    "overload": overload.run,
    "soak": soak.run,
    "splitting": splitting.run,
    "start": start.run,
    "tenth-of-a-day": day.run_tenth,
}
"""Take minutes or tell details, and run only when they are named."""
VERDICTS = {"soak": soak.faults}
"""Of those that something must be true of: what is wrong."""


def main() -> None:
    """Run them one after the other and print what they found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"any of: {', '.join(BENCHMARKS)} (default: these), {', '.join(ON_REQUEST)}",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    arguments = parser.parse_args()
    known = BENCHMARKS | ON_REQUEST
    unknown = set(arguments.names) - known.keys()
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    figures = {}
    faults = []
    for name in arguments.names or BENCHMARKS:
        print(f"== {name}")
        figures[name] = known[name]()
        for figure, value in figures[name].items():
            print(f"{figure:62} {value:12.3f}")
        if name in VERDICTS:
            faults += [f"{name}: {fault}" for fault in VERDICTS[name](figures[name])]
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
