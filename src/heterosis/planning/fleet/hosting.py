"""Workloads by the names that a router has for them (see `heterosis.terms.joining`): ``KEY/STAGE`` for their stages."""

from msgspec.structs import replace

from heterosis.planning.fleet.task import Workload
from heterosis.terms import PipelineGraph
from heterosis.terms.joining import qualified_name


def hosted(workload: Workload, key: str) -> Workload:
    """Return a workload as it is known to a router that hosts it under a key. Leave out its judge: it knows no keys."""

    def name(stage: str) -> str:
        return qualified_name(key, stage)

    def graph_of(graph: PipelineGraph) -> PipelineGraph:
        requests = tuple(
            replace(each, calls=tuple(replace(call, stage=name(call.stage)) for call in each.calls))
            for each in graph.requests
        )
        return replace(
            graph,
            pipeline=key,
            stages=tuple(map(name, graph.stages)),
            requests=requests,
            time_share={name(stage): share for stage, share in graph.time_share.items()},
        )

    variants, profile = workload.variants, workload.profile
    return replace(
        workload,
        graph=graph_of(workload.graph),
        variants=replace(
            variants,
            pipeline=key,
            variants=tuple(replace(each, stage=name(each.stage)) for each in variants.variants),
        ),
        profile=replace(
            profile,
            pipeline=key,
            points=tuple(
                replace(each, configuration=replace(each.configuration, stage=name(each.configuration.stage)))
                for each in profile.points
            ),
        ),
        fan_out={(name(stage), variant, name(after)): per for (stage, variant, after), per in workload.fan_out.items()},
        judge=None,
    )
