"""What can be rented, and what is to be served with it: one of KAIROS' models, or a file of one's own."""

import math
from pathlib import Path

import msgspec
import numpy as np

from heterosis.planning.pools import Load
from heterosis.studies.kairos.latencies import Runs, latency_of, runs_of
from heterosis.studies.kairos.setting import ALLOWED_VIOLATIONS, MODELS, PRICES, SIZES, TYPES, Model, shares
from heterosis.terms.errors import UsageError


class Power(msgspec.Struct, frozen=True, kw_only=True):
    """Watts of a whole machine."""

    idle_w: float
    active_w: float


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """Machine types for rent, and a load for them: queries of some sizes, 99 % of which must be in time."""

    model: str
    latency_ms: float
    prices: dict[str, float]
    """Price per hour of a machine of each type; pools count machines in this order."""
    runs: dict[str, Runs]
    """How long a query runs on each type, in the same order."""
    shares: dict[int, float]
    """The share of the queries that has each size."""
    power: dict[str, Power] | None = None
    """Modelled; None where it is not known of every type."""

    def setting(self) -> Model:
        """The model as `plan_of` takes it."""
        return Model(name=self.model, latency_ms=self.latency_ms, pool=())

    def load(self) -> Load:
        """The load as the planner takes it, with the chances that runs end in time."""
        limit_s = self.latency_ms / 1e3
        return Load(
            shares=tuple(self.shares.values()),
            run_s=tuple(
                tuple(runs.latencies[size].mean_ms / 1e3 for size in self.shares) for runs in self.runs.values()
            ),
            limit_s=limit_s,
            violations=ALLOWED_VIOLATIONS,
            chances=tuple(tuple(_chance(runs, size, limit_s) for size in self.shares) for runs in self.runs.values()),
        )


def _chance(runs: Runs, size: int, limit_s: float) -> float:
    """The chance that a run ends within the limit: of the samples, else of lognormal noise around the mean."""
    if runs.samples:
        return float(np.mean(np.array(runs.samples[size]) <= limit_s))
    mean_s, sigma = runs.latencies[size].mean_ms / 1e3, math.sqrt(math.log1p(runs.cv**2))
    if sigma == 0:
        return float(mean_s <= limit_s)
    return 0.5 * (1 + math.erf((math.log(limit_s / mean_s) + sigma**2 / 2) / (sigma * math.sqrt(2))))


def kairos_offer(model: str, data: Path | None = None) -> Offer:
    """One of KAIROS' models on its four types of EC2 machines; watts are the catalogue's."""
    from heterosis.catalogue import find_type

    power = {}
    for kind in TYPES:
        (mode,) = find_type(kind).power_modes
        if mode.idle_power_w is not None and mode.active_power_w is not None:
            power[kind] = Power(idle_w=mode.idle_power_w, active_w=mode.active_power_w)
    return Offer(
        model=model,
        latency_ms=MODELS[model].latency_ms,
        prices=PRICES,
        runs=runs_of(model, data),
        shares=dict(zip(SIZES, shares(), strict=True)),
        power=power if len(power) == len(TYPES) else None,
    )


class OfferedType(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine type in a file."""

    name: str
    price_per_hour: float
    latency_ms: dict[int, float]
    """Mean run time by size; linear between the sizes given, and beyond the ends as at them."""
    cv: float = 0.0
    """Coefficient of variation of the run times; lognormal."""
    idle_power_w: float | None = None
    active_power_w: float | None = None


class OfferFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `heterosis pool` reads: types, their prices and run times, sizes and their shares."""

    model: str
    latency_ms: float
    sizes: dict[int, float]
    types: tuple[OfferedType, ...]

    def offer(self) -> Offer:
        """Check it. Raise UsageError with what is wrong."""
        self._check()
        sizes = sorted(self.sizes)
        total = sum(self.sizes.values())
        known = [each for each in self.types if each.idle_power_w is not None and each.active_power_w is not None]
        return Offer(
            model=self.model,
            latency_ms=self.latency_ms,
            prices={each.name: each.price_per_hour for each in self.types},
            runs={each.name: _runs(each, sizes) for each in self.types},
            shares={size: self.sizes[size] / total for size in sizes},
            power={
                each.name: Power(idle_w=each.idle_power_w or 0.0, active_w=each.active_power_w or 0.0) for each in known
            }
            if len(known) == len(self.types)
            else None,
        )

    def _check(self) -> None:
        names = [each.name for each in self.types]
        if not names or len(set(names)) < len(names):
            raise UsageError("an offer needs machine types, each with a name of its own")
        if not self.sizes or min(self.sizes.values()) < 0 or sum(self.sizes.values()) <= 0 or self.latency_ms <= 0:
            raise UsageError("an offer needs a latency above zero, and sizes with shares that add up to more than zero")
        for each in self.types:
            if each.price_per_hour <= 0 or not each.latency_ms or min(each.latency_ms.values()) <= 0 or each.cv < 0:
                raise UsageError(
                    f"type {each.name} needs a price and latencies by size above zero, and no cv below zero"
                )


def _runs(kind: OfferedType, sizes: list[int]) -> Runs:
    known = sorted(kind.latency_ms)
    means = np.interp(sizes, known, [kind.latency_ms[size] for size in known]).tolist()
    return Runs(
        latencies={size: latency_of(mean, kind.cv) for size, mean in zip(sizes, means, strict=True)}, cv=kind.cv
    )
