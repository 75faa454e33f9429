"""The command line: one verb a file."""

import sys


def main() -> None:
    """Run the command line and end with its exit code."""
    from heterosis.cli.app import run

    sys.exit(run(sys.argv[1:]))
