"""Loading pipelines from the files they are written in."""

import importlib.util
import sys
import threading
from pathlib import Path
from types import ModuleType

from heterosis.pipeline.function import Pipeline
from heterosis.pipeline.model import ModelPipeline, is_model
from heterosis.terms.errors import UsageError

_importing = threading.RLock()
"""Workers that share a process load the same file at the same time."""


def load_pipeline(target: str | Path) -> Pipeline:
    """Load a pipeline from ``FILE`` or ``FILE:NAME``; the file may import its neighbours, or be a model as it is."""
    if is_model(Path(target)):
        return ModelPipeline(Path(target).resolve(), Path(target).stem)
    file, _, name = str(target).partition(".py:")
    path = Path(file if not name else f"{file}.py").resolve()
    if not path.is_file():
        raise UsageError(f"no pipeline file {path}; give the path of a Python file that defines a @heterosis.pipeline")
    with _importing:
        module = _import(path)
    found = {value.name: value for value in vars(module).values() if isinstance(value, Pipeline)}
    if name:
        if name not in found:
            raise UsageError(f"{path} defines no pipeline {name!r}; it defines: {', '.join(found) or 'none'}")
        return found[name]
    if len(found) != 1:
        raise UsageError(
            f"{path} defines {len(found)} pipelines ({', '.join(found) or 'none'})"
            + ("; say which with FILE:NAME" if found else "; decorate an async function with @heterosis.pipeline")
        )
    return next(iter(found.values()))


def _import(path: Path) -> ModuleType:
    """Import a file, once."""
    import hashlib  # OpenSSL comes with it, which the worker of a plain model does without

    name = f"heterosis_user_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # noqa: S101
    assert spec.loader is not None  # noqa: S101
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
