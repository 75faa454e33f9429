"""The rows as a table for people."""

from collections.abc import Sequence

from benchmarks.peers.trial import Row

COLUMNS = ("of bare", "p50 ms", "p99 ms", "CPU ms", "above", "outside", "ratio")
HEAD = f"{'server':12}{'req/s':>8}" + "".join(f"{column:>9}" for column in COLUMNS)


def print_rows(rows: Sequence[Row]) -> None:
    """Print a table for each model, protocol and load: the least CPU time above the engine's first."""
    for kind in dict.fromkeys(map(_kind, rows)):
        model, protocol, batching, load = kind
        print(f"\n{model}, {protocol}, {load}, batching {'on' if batching else 'off'}\n{HEAD}")
        for row in sorted((row for row in rows if _kind(row) == kind), key=lambda row: row.overhead_cpu_ms_per_request):
            errors = f"  {row.errors} errors: {row.error}" if row.errors else ""
            outside = "" if row.outside_cpu_ms_per_request is None else f"{row.outside_cpu_ms_per_request:.2f}"
            print(
                f"{row.server:12}{row.rps:8.0f}{row.rps_ratio:9.2f}{row.p50_ms:9.1f}{row.p99_ms:9.1f}"
                f"{row.server_cpu_ms_per_request:9.2f}{row.overhead_cpu_ms_per_request:9.2f}{outside:>9}"
                f"{row.cpu_ratio:9.2f}{errors}"
            )


def line(row: Row) -> str:
    """Say one row."""
    batching = ", batching" if row.batching else ""
    return (
        f"{row.server}, {row.model}, {row.protocol}, {row.load}{batching}: {row.rps:.0f}/s, p99 {row.p99_ms:.1f} ms, "
        f"{row.overhead_cpu_ms_per_request:.2f} ms of CPU above the engine"
    )


def _kind(row: Row) -> tuple[str, str, bool, str]:
    return row.model, row.protocol, row.batching, row.load
