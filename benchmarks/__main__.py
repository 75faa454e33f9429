"""Runs the benchmarks named on the command line, by default all."""

import argparse
import json
from pathlib import Path

from benchmarks import overhead, scheduler

BENCHMARKS = {"overhead": overhead.run, "scheduler": scheduler.run}


def main() -> None:
    """Run them one after the other and print what they found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(BENCHMARKS)}")
    figures = {}
    for name in arguments.names or BENCHMARKS:
        print(f"== {name}")
        figures[name] = BENCHMARKS[name]()
        for figure, value in figures[name].items():
            print(f"{figure:45} {value:12.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
