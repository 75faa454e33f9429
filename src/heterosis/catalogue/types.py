"""Device types with published figures."""

import functools
import re

import msgspec

from heterosis.catalogue.records import Origin, Source, nearest, read
from heterosis.terms import DEFAULT_MODE, DeviceType, PowerMode, Quality
from heterosis.terms.errors import UsageError

DEFAULT_MAX_BATCH = 32


class Mode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A power mode, with the watts of the whole device."""

    name: str
    idle_w: float
    active_w: float
    quality: Origin
    source: str
    note: str = ""


class TypeEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A device type as the catalogue has it. ``max_batch`` is the largest that anything should run on it."""

    name: str
    title: str
    kind: str
    engine: str
    mode: tuple[Mode, ...]
    load_ms: float
    names: tuple[str, ...] = ()
    """Patterns of what such a device calls itself."""
    slots: int = 1
    memory_bytes: int | None = None
    max_batch: int = DEFAULT_MAX_BATCH
    sleep_w: float | None = None
    wake_ms: float = 0.0
    switch_ms: float = 0.0
    switch_j: float = 0.0
    price_per_hour: float | None = None
    purchase_price: float | None = None
    price_source: str | None = None
    price_quality: Origin | None = None

    @property
    def sources(self) -> set[str]:
        """Names of all that its figures are from."""
        return {*(mode.source for mode in self.mode), *([self.price_source] if self.price_source else [])}

    def power_mode(self, name: str) -> Mode:
        """Find a mode by its name."""
        return next(mode for mode in self.mode if mode.name == name)


class _Types(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sources: dict[str, Source]
    type: tuple[TypeEntry, ...]


@functools.cache
def types() -> _Types:
    """Read the catalogue's device types."""
    return read("types.toml", _Types)


def find_entry(name: str) -> TypeEntry:
    """Find a type by its name. Raise UsageError, with the nearest names, where the catalogue has none such."""
    for entry in types().type:
        if entry.name == name:
            return entry
    known = [entry.name for entry in types().type]
    raise UsageError(f"the catalogue has no device type {name!r}; {nearest(name, known)}")


def find_type(name: str) -> DeviceType:
    """Return a device type of the catalogue as the planner knows it.

    Its power was measured by others or is modelled, so its quality is always `Quality.MODELLED`; ``source`` says for
    each mode where the watts come from. Raise UsageError where there is no such type.
    """
    entry = find_entry(name)
    return DeviceType(
        name=entry.name,
        kind=entry.kind,
        power_modes=tuple(
            PowerMode(name=mode.name, idle_power_w=mode.idle_w, active_power_w=mode.active_w) for mode in entry.mode
        ),
        quality=Quality.MODELLED,
        source=f"{entry.title}; " + "; ".join(_told(mode) for mode in entry.mode),
        sleep_power_w=entry.sleep_w,
        wake_ms=entry.wake_ms,
        switch_ms=entry.switch_ms,
        switch_j=entry.switch_j,
        engines=(entry.engine,),
        price_per_hour=entry.price_per_hour,
        purchase_price=entry.purchase_price,
    )


def match_type(model: str, kind: str) -> DeviceType:
    """Return the type of a device that calls itself so. One that the catalogue does not know has unknown power."""
    for entry in types().type:
        if any(re.search(pattern, model, re.IGNORECASE) for pattern in entry.names):
            return find_type(entry.name)
    slug = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-") or kind
    return DeviceType(name=slug, kind=kind, source=f"power unknown: {model!r} is not in the catalogue")


def _told(mode: Mode) -> str:
    name = "" if mode.name == DEFAULT_MODE else f"{mode.name}: "
    note = f", {mode.note}" if mode.note else ""
    return f"{name}{mode.quality}, {types().sources[mode.source]}{note}"
