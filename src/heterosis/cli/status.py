"""`heterosis status`: what a running server does."""

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from heterosis.cli.console import output, print_json
from heterosis.cli.options import Json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from heterosis.serving.status import ClassStatus, DeviceStatus, PipelineStatus, Status, TrialStatus

TIMEOUT_S = 10.0


def status(
    url: Annotated[str, Parameter(help="The URL of a server.")] = "http://127.0.0.1:8000",
    /,
    *,
    watch: Annotated[
        bool, Parameter(negative=(), show_default=False, help="Show it again and again, until Ctrl-C.")
    ] = False,
    every: Annotated[float, Parameter(help="Seconds from one look to the next, with --watch.")] = 2.0,
    json: Json = False,
) -> None:
    """Show what runs where, load against capacity, attainment, joules, and the last decisions with their reasons.

    ```
    heterosis status
    heterosis status http://127.0.0.1:9000 --watch
    heterosis status --watch --every 10 --json    # one line of JSON every ten seconds
    ```
    """
    import msgspec

    from heterosis.terms.errors import UsageError

    if not every > 0:
        raise UsageError(f"--every must be above zero, got {every:g}")
    if not watch:
        found = fetch(url)
        if json:
            print_json(found)
        else:
            output().print(shown(found))
        return
    looks = _looks(url, every)
    if json:
        for found in looks:
            sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
            sys.stdout.flush()
        return
    from rich.live import Live

    with Live(console=output(), auto_refresh=False, screen=sys.stdout.isatty()) as live:
        for found in looks:
            live.update(shown(found), refresh=True)


def fetch(url: str) -> "Status":
    """Ask a server. Raise UnavailableError where there is none, UsageError where it is another one."""
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    import msgspec

    from heterosis.serving.status import Status
    from heterosis.terms.errors import UnavailableError, UsageError

    if not url.startswith(("http://", "https://")):
        raise UsageError(f"a server's URL begins with http://, got {url!r}")
    try:
        with urlopen(url.rstrip("/") + "/status", timeout=TIMEOUT_S) as answer:  # noqa: S310 - looked at above
            return msgspec.json.decode(answer.read(), type=Status)
    except HTTPError as error:
        raise UsageError(f"{url} has no /status: {error}; is it a server of heterosis?") from None
    except (URLError, OSError) as error:
        raise UnavailableError(f"no server answers at {url}: {getattr(error, 'reason', error)}") from None
    except msgspec.MsgspecError as error:
        raise UsageError(f"{url}/status is not what a server of heterosis answers: {error}") from None


def _looks(url: str, every: float) -> Iterator["Status"]:
    while True:
        yield fetch(url)
        time.sleep(every)


def shown(found: "Status") -> "RenderableType":
    """Lay a status out for people."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    pipelines = Table("pipeline", box=None, pad_edge=False)
    for title in ("arrives /s", "planned /s", "capacity /s", "in time", "of the day", "p50 ms", "p99 ms", "SLO ms"):
        pipelines.add_column(title, justify="right")
    pipelines.add_column("accuracy", justify="right")
    pipelines.add_column("waiting", justify="right")
    for each in found.pipelines:
        pipelines.add_row(*_pipeline(each))
        for one in each.classes if len(each.classes) > 1 else ():
            pipelines.add_row(*_class(one))
    devices = Table("device", "mode", "state", "busy", "runs", box=None, pad_edge=False)
    for device in found.devices:
        devices.add_row(*_device(device))
    parts: list[RenderableType] = [
        Text(_headline(found), style="bold"),
        Text(""),
        pipelines,
        Text(""),
        devices,
        Text(""),
        Text(_joules(found)),
    ]
    parts += [Text(_trial(each)) for each in found.trials]
    if found.under_way:
        parts.append(Text(f"changing plans: {found.under_way}"))
    if found.decisions:
        parts += [Text(""), Text("last decisions", style="bold")]
    for decision in found.decisions:
        done = "" if decision.changed else " (nothing changed)" if decision.what in {"plan", "tune"} else ""
        parts.append(Text(f"{_ago(decision.ago_s):>8} ago  {decision.what}{done}: {decision.reason}"))
    return Group(*parts)


def _headline(found: "Status") -> str:
    how = f"adapting, {found.changes} changes of plan" if found.adapting else "the plan stays as it is"
    stall = "" if found.longest_stall_ms is None else f"; held up for {found.longest_stall_ms:.0f} ms at the longest"
    if found.longest_own_stall_ms is not None:
        stall += f", {found.longest_own_stall_ms:.0f} ms by itself"
    off = "" if found.devices_off is None else f"; {found.devices_off} devices off"
    return f"up {_ago(found.uptime_s)}; {how}{off}{stall}"


def _trial(each: "TrialStatus") -> str:
    compared = "" if each.differing is None else f", {each.differing} answers differ"
    return (
        f"on trial: version {each.version} of {each.name} with {each.share:.0%} of the requests: {each.requests} of "
        f"{each.wanted} served, {each.wrong} failed or late{compared}; version {each.former}: {each.former_wrong} of "
        f"{each.former_requests}"
    )


def _class(each: "ClassStatus") -> list[str]:
    attainment = _share(each.attainment_minute)
    accuracy = _accuracy(each.accuracy, each.min_accuracy)
    return [f"  {each.name}", _number(each.arrivals_rps), "", "", attainment, "", "", "", "", accuracy, ""]


def _accuracy(value: float | None, floor: float | None) -> str:
    return _number(value, 3) + ("" if floor is None else f" (floor {floor:g})")


def _pipeline(each: "PipelineStatus") -> list[str]:
    return [
        each.name,
        _number(each.arrivals_rps),
        _number(each.planned_rps),
        _number(each.capacity_rps),
        _share(each.attainment_minute),
        _share(each.attainment_day),
        _number(each.p50_ms, 0),
        _number(each.p99_ms, 0),
        f"{each.slo_ms:g}",
        _accuracy(each.accuracy, each.min_accuracy),
        str(each.waiting_calls),
    ]


def _device(device: "DeviceStatus") -> list[str]:
    slow = "" if device.slowness == 1.0 else f", takes {device.slowness:.2f} times as long"
    runs = ", ".join(
        f"{each.stage} {each.variant}{f' x{each.count}' if each.count > 1 else ''}"
        f"{'' if each.state == 'ready' else f' ({each.state})'}"
        for each in device.instances
    )
    return [f"{device.node}/{device.device}", device.mode, device.state + slow, _share(device.busy), runs]


def _joules(found: "Status") -> str:
    known = [
        f"{domain} {each.joules:.4g} J ({each.quality.value})" for domain, each in found.energy.items() if each.joules
    ]
    return "energy since the start: " + (", ".join(known) or "unknown")


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _ago(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s" if minutes else f"{rest}s"
