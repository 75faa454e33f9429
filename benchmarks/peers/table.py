"""The rows as a table for people."""

from collections.abc import Sequence

from benchmarks.peers.trial import Row


def print_rows(rows: Sequence[Row]) -> None:
    """Print a table for each model, protocol and load: the least overhead first."""
    for key in dict.fromkeys(_key(row) for row in rows):
        model, protocol, batching, clients, offered = key
        load = f"{clients} clients" if clients else f"{offered:.0f} requests/s offered"
        print(f"\n{model}, {protocol}, {load}, batching {'on' if batching else 'off'}")
        print(f"{'server':12}{'req/s':>8}{'of bare':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU ms':>9}{'above':>9}{'ratio':>8}")
        for row in sorted((row for row in rows if _key(row) == key), key=lambda row: row.overhead_cpu_ms_per_request):
            errors = f"  {row.errors} errors: {row.error}" if row.errors else ""
            print(
                f"{row.server:12}{row.rps:8.0f}{row.rps_ratio:9.2f}{row.p50_ms:9.1f}{row.p99_ms:9.1f}"
                f"{row.server_cpu_ms_per_request:9.2f}{row.overhead_cpu_ms_per_request:9.2f}{row.cpu_ratio:8.2f}{errors}"
            )


def _key(row: Row) -> tuple[str, str, bool, int, float]:
    return row.model, row.protocol, row.batching, row.clients, round(row.offered_rps or 0.0, -1)
