"""What a worker needs to be installed: every distribution that one imports when it loads its stage here.

With these go what they require, since some of that is imported later, and the packages whose files the stage's models
are.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version

import msgspec

from heterosis.terms import Variant
from heterosis.terms.errors import EngineError

OWN = "heterosis"

LOOK = """
import json, sys
import msgspec
import heterosis.cli.worker, heterosis.serving.guest
from heterosis.pipeline import load_pipeline
from heterosis.terms import Variant
from heterosis.pipeline.opening import open_runner
target, name, variant = sys.argv[1:]
stage = next(each for each in load_pipeline(target).stages if each.name == name)
open_runner(stage, msgspec.json.decode(variant, type=Variant), 1)
print("imported:" + json.dumps(sorted({module.partition(".")[0] for module in sys.modules})))
"""


def pins(target: str, variant: Variant, packages: Iterable[str] = ()) -> dict[str, str]:
    """Return the distributions, those of ``packages`` among them, and their versions.

    Raise EngineError where the variant cannot be loaded here.
    """
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", LOOK, target, variant.stage, msgspec.json.encode(variant).decode()],
        capture_output=True,
        text=True,
        check=False,
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("imported:")), None)
    if line is None:
        raise EngineError(
            f"{variant.name} of stage {variant.stage!r} cannot be packed, as it does not load: "
            f"{(done.stderr.strip().splitlines() or ['it ended without a word'])[-1]}"
        )
    of = packages_distributions()
    imported = json.loads(line.removeprefix("imported:"))
    left = [name for module in (*imported, *packages) for name in of.get(module, ()) if name != OWN]
    found: dict[str, str] = {}
    while left:
        name = left.pop()
        if _plain(name) not in map(_plain, found):
            try:
                found[name] = version(name)
            except PackageNotFoundError:  # for another platform or Python than this
                continue
            left += [_name(each) for each in requires(name) or () if "extra" not in each.partition(";")[2]]
    return {name: found[name] for name in sorted(found, key=str.lower)}


def _name(requirement: str) -> str:
    """Return the distribution that a requirement is about."""
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def _plain(name: str) -> str:
    """Normalise a name as package indices do."""
    return re.sub(r"[-_.]+", "-", name).lower()
