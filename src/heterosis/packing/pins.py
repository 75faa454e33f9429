"""What a worker needs to be installed: every distribution that one imports when it loads its stage here."""

import json
import subprocess
import sys
from importlib.metadata import packages_distributions, version

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


def pins(target: str, variant: Variant) -> dict[str, str]:
    """Return the distributions and their versions. Raise EngineError where the variant cannot be loaded here."""
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
    names = {name for module in imported for name in of.get(module, ()) if name != OWN}
    return {name: version(name) for name in sorted(names, key=str.lower)}
