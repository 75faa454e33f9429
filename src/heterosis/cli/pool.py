"""`heterosis pool`: which machines to rent."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from heterosis.cli.console import interruptible, output, print_json, progress
from heterosis.cli.options import Json
from heterosis.terms.errors import UsageError

if TYPE_CHECKING:
    from heterosis.studies.pool.choice import Choice, Tried
    from heterosis.studies.pool.offer import Offer

UNITS = {"load": "/s", "price": " $/h", "energy": " W"}


def pool(  # noqa: PLR0913 - one for each option
    offer: Annotated[
        str,
        Parameter(
            help="One of KAIROS' models on its EC2 machines (ncf, rm2, wnd, mtwnd, dien), or a JSON file of what can "
            "be rented and what is to be served."
        ),
    ],
    /,
    *,
    budget: Annotated[float | None, Parameter(help="Dollars an hour to spend at the most.")] = None,
    rate: Annotated[float | None, Parameter(help="Queries per second to serve, instead of as many as can be.")] = None,
    objective: Annotated[
        Literal["price", "energy"], Parameter(help="What is to be least at that rate; watts are modelled.")
    ] = "price",
    policy: Annotated[str, Parameter(help="Scheduling policy that serves on the pool.")] = "heterosis",
    data: Annotated[
        Path | None, Parameter(help="Folder of KAIROS' published data; without it, figures fitted to that are used.")
    ] = None,
    seeds: Annotated[int, Parameter(help="Runs that each figure is the mean of.")] = 3,
    requests: Annotated[int, Parameter(help="Queries of each run, at the least.")] = 4000,
    explain: Annotated[
        bool, Parameter(negative=(), show_default=False, help="Say why other pools lost, and what more machines add.")
    ] = False,
    json: Json = False,
) -> None:
    """Choose the machines to rent, so that 99 % of the queries are in time.

    With a budget, those that serve most queries per second; with a rate, those of least price, or of least power, idle
    power included. Linear programs bound what each pool could do, and the simulator decides among those that may win.

    ```
    heterosis pool rm2 --budget 2.5 --explain
    heterosis pool dien --rate 500
    heterosis pool dien --rate 500 --objective energy --json
    heterosis pool offer.json --budget 4 --policy kairos
    ```

    A file has the model's name and latency, sizes with their shares, and types; run times are linear between the sizes
    given, and vary by the coefficient `cv`:

    ```
    {"model": "ocr", "latency_ms": 250, "sizes": {"1": 0.7, "8": 0.3},
     "types": [{"name": "gpu", "price_per_hour": 0.53, "latency_ms": {"1": 12, "8": 30}, "cv": 0.05},
               {"name": "cpu", "price_per_hour": 0.15, "latency_ms": {"1": 60, "8": 400},
                "idle_power_w": 8, "active_power_w": 14}]}
    ```
    """
    from heterosis.scheduling.policies import make_policy
    from heterosis.studies.pool.choice import least_power, least_price, most_load
    from heterosis.studies.pool.trials import Trials

    for name, value in {"budget": budget, "rate": rate, "seeds": seeds, "requests": requests}.items():
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"--{name} must be above zero, got {value:g}")
    if budget is None and rate is None:
        raise UsageError("say what to choose for: --budget DOLLARS_AN_HOUR, or --rate QUERIES_PER_SECOND")
    if rate is None and objective == "energy":
        raise UsageError("the least energy is that of a load: say --rate QUERIES_PER_SECOND")
    make_policy(policy)
    opened = _open(offer, data)
    power = opened.power if objective == "energy" else None
    if objective == "energy" and power is None:
        raise UsageError(f"{offer} lacks the idle_power_w and active_power_w of some type")
    with interruptible("nothing is kept of a choice that was not made"), progress(f"Pools for {opened.model}") as step:
        trials = Trials(opened, policy, seeds, power=power, requests=requests, told=step)
        if rate is None:
            found = most_load(trials, budget or 0.0)
        elif power is not None:
            found = least_power(trials, rate, power, budget)
        else:
            found = least_price(trials, rate, budget)
    if json:
        print_json(found)
    else:
        show(found, opened.latency_ms, explain=explain)


def _open(offer: str, data: Path | None) -> "Offer":
    from heterosis.cli.files import read_json
    from heterosis.studies.kairos.setting import MODELS
    from heterosis.studies.pool.offer import OfferFile, kairos_offer

    if offer in MODELS:
        return kairos_offer(offer, data)
    if not offer.endswith(".json"):
        raise UsageError(f"{offer!r} is neither a JSON file nor one of KAIROS' models: {', '.join(MODELS)}")
    return read_json(Path(offer), OfferFile, "offer of machines (see `heterosis pool --help`)").offer()


def show(found: "Choice", latency_ms: float, *, explain: bool = False) -> None:
    """Print a choice for people; with ``explain``, why others lost."""
    say = partial(output().print, markup=False)
    at = "" if found.rate_rps is None else f" at {found.rate_rps:g}/s"
    within = "" if found.budget is None else f" within ${found.budget:g} an hour"
    say(f"{found.model}{at}{within}: 99 % within {latency_ms:g} ms, served by {found.policy}")
    say()
    say(f"rent {_machines(found.pool)} for ${found.price_per_hour:.4g} an hour")
    achieved = {"load": f"serves {found.measured:.4g}/s", "price": f"serves {found.rate_rps or 0:g}/s"}
    achieved["energy"] = f"draws {found.measured:.4g} W, idle machines included (modelled)"
    say(f"{achieved[found.objective]}; no policy could serve more than {found.bound_rps:.4g}/s on it")
    if explain:
        _explain(found)


def _explain(found: "Choice") -> None:
    from rich.table import Table

    console, unit = output(), UNITS[found.objective]
    console.print()
    table = Table("simulated", box=None, pad_edge=False)
    for title in ("$/h", "bound", "measured"):
        table.add_column(title, justify="right")
    table.add_column("")
    for each in found.tried:
        measured = "-" if each.measured is None else f"{each.measured:.4g}{unit}"
        table.add_row(
            _machines(each.pool), f"{each.price_per_hour:.4g}", f"{each.bound:.4g}{unit}", measured, _why(each, found)
        )
    console.print(table)
    lines = [
        f"not simulated: pools with up to {most} {kind}, which are too few whatever else is rented"
        for kind, most in found.too_few.items()
    ]
    if found.reach is not None:
        lines.append(f"not simulated: pools whose bound is no better than {found.reach:.4g}{unit}")
    elif found.objective != "price":
        lines.append("no other pool could serve it" if found.rate_rps else "no other pool serves any load")
    if found.budget is not None:
        lines.append(f"unspent: ${found.budget - found.price_per_hour:.4g} an hour")
    adds = ", ".join(f"{kind} {more:.3g}/s" for kind, more in found.one_more_rps.items())
    lines.append(f"one more machine would raise the bound by at most: {adds}")
    for line in lines:
        console.print(f"- {line}", markup=False)


def _why(tried: "Tried", found: "Choice") -> str:
    if tried.pool == found.pool:
        return "chosen"
    if tried.measured is None:
        return "no more than the best before it" if found.objective == "load" else "less than 99 % in time"
    return "less load" if found.objective == "load" else "no less power"


def _machines(pool: "dict[str, int]") -> str:
    return " + ".join(f"{count} {kind}" for kind, count in pool.items() if count)
