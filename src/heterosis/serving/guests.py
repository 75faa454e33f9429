"""Workers from outside in the plan: each is one more instance of the variant that it has."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Protocol
from urllib.parse import urlsplit

import msgspec
import structlog

from heterosis.launch.control import Offer
from heterosis.launch.gate import OUTSIDE, Gate
from heterosis.serving.router import Router
from heterosis.terms import Placement, Plan
from heterosis.terms.errors import StalePlanError, UsageError
from heterosis.terms.joining import bare_name, key_of, qualified_name

log = structlog.get_logger()


class Fleet(Protocol):
    """Plans with the workers that there are (`heterosis.serving.adaptation.Adaptation`)."""

    def joined(self, offer: Offer) -> None:
        """A worker came. Raise UsageError where there is no use for it."""
        ...

    def left(self, worker: str) -> None:
        """A worker is gone."""
        ...


@contextlib.asynccontextmanager
async def welcoming(gate: Gate, router: Router, address: str, fleet: Fleet | None = None) -> AsyncIterator[str]:
    """Let workers in at ``tcp://host:port``, and give where that is. They find the router at the next port.

    Each serves at once, as one more instance of a variant that the plan runs; or, where there is a ``fleet``, as soon
    as that plans with it.
    """
    parts = urlsplit(address)
    host = parts.hostname or "127.0.0.1"
    next_port = parts.port + 1 if parts.port else 0
    router_address = await router.workers.hub.listen(f"tcp://{f'[{host}]' if ':' in host else host}:{next_port}")

    async def come(offer: Offer) -> None:
        if fleet is not None:
            fleet.joined(offer)
        else:
            await _change(router, lambda plan: with_guest(plan, offer))
        log.info("worker joined", worker=offer.worker, stage=offer.stage)

    async def left(worker: str) -> None:
        if fleet is not None:
            fleet.left(worker)
        await _change(router, lambda plan: without_guest(plan, worker))

    try:
        yield await gate.listen(address, router_address, come, left)
    finally:
        gate.close()


def with_guest(plan: Plan, offer: Offer) -> Plan:
    """Add an instance for what a worker offers. Raise UsageError where no stage of the plan runs its variant."""
    for like in plan.placements:
        if bare_name(like.configuration.stage) == offer.stage:
            variant = plan.variant(like.configuration)
            if variant.digest == offer.digest:
                break
    else:
        stages = sorted({f"{stage.stage} {stage.variant.name}" for stage in plan.stages})
        raise UsageError(
            f"no stage {offer.stage!r} of the plan in force runs the variant that this worker has; it runs: "
            f"{', '.join(stages)}. Pack what the plan runs: heterosis pack FILE --plan plan.json"
        )
    configuration = msgspec.structs.replace(like.configuration, device_type=offer.device_type, threads=offer.threads)
    known = {point.configuration for point in plan.points}
    # Until it is known better, it is expected to take what the same variant takes here; what it really takes is learnt.
    points = (
        ()
        if configuration in known
        else tuple(
            msgspec.structs.replace(point, configuration=configuration)
            for point in plan.points
            if point.configuration == like.configuration
        )
    )
    name = qualified_name(key_of(like.configuration.stage), f"{offer.stage}-at-{offer.worker}")
    guest = Placement(
        instance=name,
        configuration=configuration,
        max_batch=like.max_batch,
        node=offer.worker,
        device=OUTSIDE,
        slots=(),
        accuracy=like.accuracy,
    )
    return msgspec.structs.replace(plan, placements=(*plan.placements, guest), points=(*plan.points, *points))


def without_guest(plan: Plan, worker: str) -> Plan:
    """Take a worker's instances out."""
    left = tuple(placement for placement in plan.placements if placement.node != worker)
    return msgspec.structs.replace(plan, placements=left)


async def _change(router: Router, change: Callable[[Plan], Plan]) -> None:
    """Change the plan in force, however often others change it meanwhile."""
    while True:
        plan = router.plan
        changed = change(plan)
        if changed.placements == plan.placements:
            return
        try:
            await router.change_plan(changed, since=plan)
        except StalePlanError:
            await asyncio.sleep(0)
            continue
        return
