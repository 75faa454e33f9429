"""Whether a profile still holds here: same machine, same libraries, same models."""

from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, version

from heterosis.devices import describe
from heterosis.profiling.records import changed_versions
from heterosis.terms import Provenance, VariantSet


def why_stale(
    origins: Collection[Provenance],
    device_types: Collection[str],
    variants: VariantSet,
    *,
    machine: str | None = None,
    versions: Mapping[str, str] | None = None,
) -> list[str]:
    """Say what has changed since points were measured; an empty list where nothing has.

    Of origins on other machines only the models can be compared; ``device_types`` are those of this one. Published
    figures (with a source) are about other models by nature. ``machine`` and ``versions`` are this one's by default.
    """
    here = describe() if machine is None else machine
    digests = {f"{each.stage}/{each.name}": each.digest for each in variants.variants}
    found = []
    for origin in origins:
        reasons = []
        if origin.source:
            continue
        if set(origin.device_types) & set(device_types):
            if origin.machine != here:
                reasons.append(f"they are of {origin.machine}, and this is {here}")
            now = {name: _version(name) for name in origin.versions} if versions is None else versions
            reasons += changed_versions(origin.versions, now)
        changed = [name for name, digest in origin.digests.items() if digests.get(name, digest) != digest]
        if changed:
            reasons.append(f"the models, or how variants are made of them, have changed: {', '.join(sorted(changed))}")
        if reasons:
            found.append(f"the figures of {origin.measured_at} are stale: {'; '.join(reasons)}")
    return found


def _version(name: str) -> str:
    if name == "python":
        import platform

        return platform.python_version()
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
