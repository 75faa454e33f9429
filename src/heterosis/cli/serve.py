"""`heterosis serve`: a pipeline, or models as they are, behind the Open Inference Protocol."""

import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from cyclopts import Parameter

from heterosis.cli.console import output, progress, remark
from heterosis.cli.options import (
    DEFAULT_LOOP,
    DEFAULT_STORE,
    NO_CANARY,
    Accuracy,
    Budget,
    CanaryOptions,
    ClassAccuracy,
    Json,
    LoopOptions,
    Naive,
    ProfileFile,
    Rate,
    SloMs,
    Store,
    floors_of,
)
from heterosis.cli.workflows import open_workflow
from heterosis.terms.errors import UsageError

if TYPE_CHECKING:
    from heterosis.control import Settings
    from heterosis.serving.server import Listening, Options


def serve(  # noqa: PLR0913 - one for each option
    file: Annotated[
        str,
        Parameter(
            help="A Python file that defines a pipeline (FILE:NAME where it defines several), a model file (.onnx, "
            ".tflite, .xml), or a folder of these: NAME.onnx, or NAME/VERSION/model.onnx. With --fleet: pipelines of "
            "the catalogue, A+B."
        ),
    ],
    /,
    *,
    rate: Rate = 1.0,
    adapt: Annotated[
        bool,
        Parameter(
            negative=(),
            show_default=False,
            help="Follow the load, slow and failing devices: plan anew while serving, and wake and rest devices.",
        ),
    ] = False,
    loop: LoopOptions = DEFAULT_LOOP,
    fleet: Annotated[
        str | None,
        Parameter(
            help="Emulate the devices of this fleet, to rehearse published pipelines; answers are worth nothing."
        ),
    ] = None,
    slo: SloMs = None,
    accuracy: Accuracy = None,
    class_accuracy: ClassAccuracy = None,
    plan: Annotated[
        Path | None, Parameter(help="Serve this plan, as `heterosis plan --json` wrote it, and do not plan anew.")
    ] = None,
    host: Annotated[str, Parameter(help="Address to listen on. There is no authentication: mind who can reach it.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, Parameter(help="Port to listen on; 0 takes any that is free.")] = 8000,
    grpc_port: Annotated[
        Literal["none"] | int, Parameter(help="Port to listen on for gRPC; 0 takes any that is free, `none` leaves it.")
    ] = 8001,
    server_name: Annotated[
        str, Parameter(help="What clients are told that the server is; some of Triton's insist on `triton`.")
    ] = "heterosis",
    journal: Annotated[
        Path | None, Parameter(help="File to which every decision is appended, to be replayed and explained later.")
    ] = None,
    max_body: Annotated[float, Parameter(help="Largest body of a request that is taken, in MiB.")] = 64.0,
    policy: Annotated[
        str | None, Parameter(help="Scheduling policy, instead of the plan's own; to compare with.")
    ] = None,
    naive: Naive = False,
    profile: ProfileFile = None,
    workers_at: Annotated[
        str | None,
        Parameter(
            help="Let packed workers join here, tcp://HOST:PORT (the router takes the next port, too); 0 is any port."
        ),
    ] = None,
    token_file: Annotated[
        Path | None, Parameter(help="File with the token that such workers must know; readable by its owner alone.")
    ] = None,
    quiet: Annotated[
        bool, Parameter(negative=(), show_default=False, help="Log only what goes wrong, to standard error.")
    ] = False,
    canary: CanaryOptions = NO_CANARY,
    quick: Annotated[
        bool,
        Parameter(
            help="Serve model files as they are, after a short look at them; `--no-quick` makes variants of one, "
            "profiles and plans them, as for a pipeline."
        ),
    ] = True,
    budget: Budget = None,
    store: Store = DEFAULT_STORE,
    json: Json = False,
) -> None:
    """Plan for a rate and an SLO, start the instances, and serve until Ctrl-C.

    Clients speak the Open Inference Protocol (KServe v2) over HTTP or gRPC. Ctrl-C stops after what is under way is
    answered; a second one stops at once. With `--json`, one line says the URL once the server is ready.

    ```
    heterosis serve ocr.py --rate 2
    heterosis serve ocr.py --rate 5 --slo 800 --accuracy 0.95 --port 9000
    heterosis serve ocr.py --rate 2 --adapt
    heterosis serve traffic+documents --fleet edge-rack --rate 10 --adapt
    heterosis serve traffic --fleet edge-rack --adapt --accuracy 0.7 --class-accuracy 1=0.8 --aim 0.85
    heterosis serve resnet.onnx --slo 50
    heterosis serve models/ --canary 0.1 --canary-agreement 0.95
    heterosis serve ocr.py --plan plan.json --workers-at tcp://127.0.0.1:9000 --token-file token
    ```
    """
    from heterosis.serving.address import check_address
    from heterosis.serving.server import Options

    check_address(host, port)
    if grpc_port != "none":
        check_address(host, grpc_port)
    token = _token_of_workers(workers_at, token_file)
    _log_aside(quiet=quiet)
    options = Options(
        host=host,
        port=port,
        grpc_port=None if grpc_port == "none" else grpc_port,
        name=server_name,
        journal=journal,
        workers_at=workers_at or "",
        token=token,
        max_body_bytes=round(max_body * 2**20),
        trial=canary.trial(),
    )
    settings, floors = loop.settings(), floors_of(class_accuracy)
    if fleet is not None:
        _serve_emulated(
            file, fleet, rate, settings, store, options, adapt=adapt, accuracy=accuracy, floors=floors, json=json
        )
    elif (
        quick
        and not adapt
        and plan is None
        and profile is None
        and not naive
        and accuracy is None
        and class_accuracy is None
        and _holds_models(Path(file))
    ):
        _serve_models(Path(file), rate, slo, policy, store, options, json=json)
    else:
        from heterosis.cli.files import read_json
        from heterosis.terms import Plan
        from heterosis.workflow.looping import LoopedService
        from heterosis.workflow.service import Service, with_policy

        if adapt and (naive or plan is not None):
            raise UsageError("--adapt plans by itself: leave out --naive and --plan")
        service: LoopedService | Service
        with open_workflow(
            file, store, slo=slo, accuracy=accuracy, class_accuracy=floors, budget=budget, profile=profile
        ) as workflow:
            if adapt:
                service = LoopedService(workflow, rate, settings, policy=policy)
            else:
                make = workflow.naive_plan if naive else workflow.plan
                chosen = make(rate) if plan is None else read_json(plan, Plan, "plan", "heterosis plan FILE --json")
                if plan is not None:
                    workflow.check_plan(chosen)
                service = workflow.service(chosen if policy is None else with_policy(chosen, policy))
        service.run(options, on_ready=_say_ready([workflow.pipeline.name], json=json))
    if not quiet:
        remark("stopped: every request that was taken has been answered")


def _token_of_workers(workers_at: str | None, token_file: Path | None) -> str:
    """Return what workers from outside must know; raise UsageError where they cannot join so."""
    if workers_at is None and token_file is None:
        return ""
    if workers_at is None or token_file is None:
        raise UsageError("workers join with --workers-at tcp://HOST:PORT and --token-file FILE: give both")
    from heterosis.cli.worker import read_token
    from heterosis.serving.address import check_address

    parts = urlsplit(workers_at)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:  # a port that is none
        host, port = None, None
    if parts.scheme != "tcp" or not host or port is None:
        raise UsageError(f"--workers-at takes tcp://HOST:PORT, got {workers_at!r}")
    check_address(host, port)
    return read_token(token_file)


def _serve_emulated(  # noqa: PLR0913 - as its options
    names: str,
    fleet: str,
    rate: float,
    settings: "Settings",
    store: Path,
    options: "Options",
    *,
    adapt: bool,
    accuracy: float | None,
    floors: "Mapping[str, float] | None",
    json: bool,
) -> None:
    """Serve pipelines of the catalogue on emulated devices."""
    from heterosis.cli.plan_fleet import open_fleet_of
    from heterosis.workflow.rehearsal.serving import EmulatedService
    from heterosis.workflow.rehearsal.setting import published

    devices = open_fleet_of(fleet)
    with progress(f"Planning {names}"):
        workloads = published(names, devices, rate, accuracy=accuracy, class_accuracy=floors)
        service = EmulatedService(workloads, devices, settings=settings, folder=store / "rehearsal")
    ready = _say_ready([each.graph.pipeline for each in service.workloads], json=json)
    service.run(options, adapt=adapt, on_ready=ready)


def _holds_models(path: Path) -> bool:
    from heterosis.pipeline.model import is_model

    return path.is_dir() or is_model(path)


def _serve_models(
    path: Path,
    rate: float,
    slo: float | None,
    policy: str | None,
    store: Path,
    options: "Options",
    *,
    json: bool,
) -> None:
    """Serve model files as they are."""
    from heterosis.devices import local_fleet
    from heterosis.serving.folder import ModelFolder
    from heterosis.serving.server import run
    from heterosis.serving.server import serve as serve_source
    from heterosis.terms import Slo
    from heterosis.workflow.hardware import held

    fleet = local_fleet()
    goal = None if slo is None else Slo(latency_ms=slo)
    source = ModelFolder(path, fleet, rate_rps=rate, slo=goal, policy=policy or "heterosis", store=store)
    ready = _say_ready(source.listed(), json=json)
    with held(fleet.devices) as (meter, modes):
        run(serve_source(source, meter, options=options, power_modes=modes, on_ready=ready))


def _say_ready(names: Collection[str], *, json: bool) -> "Callable[[Listening], None]":
    def say(where: "Listening") -> None:
        if json:
            said = {**msgspec.to_builtins(where), "pipeline": next(iter(names)), "models": list(names)}
            sys.stdout.write(msgspec.json.encode(said).decode() + "\n")
            sys.stdout.flush()
        else:
            name = next(iter(names)) if len(names) == 1 else "NAME"
            grpc = f", and for gRPC at {where.grpc}" if where.grpc else ""
            output().print(f"serving {', '.join(names)} at {where.url}/v2/models/{name}/infer{grpc}; Ctrl-C stops")

    return say


def _log_aside(*, quiet: bool) -> None:
    """Send the log to standard error: for people where it is a terminal, one JSON object a line elsewhere."""
    import logging

    import structlog

    renderer = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING if quiet else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
