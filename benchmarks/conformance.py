"""Whether the server keeps to what it and others have written down, and stands what nobody would write down.

Cases are generated from the server's own OpenAPI document, and from that of the Open Inference Protocol where it is
given (its paths, written ``${NAME}``, are mended, and each is tried without its version, too): no answer may be a
server's error, and each must be as documented. The binary tensor extension is fuzzed: bodies that are nearly right, by
the thousand, are decoded or refused with a 400, and reach no worker unless they are right.

    python -m benchmarks conformance
    python -m benchmarks.conformance --document open_inference_rest.yaml
"""

import argparse
import asyncio
import http.client
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import msgspec
import numpy as np
import psutil
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from heterosis.client import Client
from heterosis.pipeline import FUNCTION
from heterosis.serving.protocol import DATATYPES, HEADER_LENGTH, InferRequest, decode_request, encode_request
from heterosis.terms.errors import InvalidInputError
from heterosis.testing import make_plan, make_variant
from heterosis.workflow.subserver import serving

MODEL = "greet"
PIPELINE = """
from typing import Annotated
import numpy as np
import heterosis as hs

class Scale:
    def run(self, values, factor): return values * factor

scale = hs.stage(Scale)

@hs.pipeline(slo=hs.Slo(latency_ms=1000))
async def greet(
    values: Annotated[np.ndarray, hs.Tensor("float32", -1)], factor: int, name: str
) -> Annotated[np.ndarray, hs.Tensor("float32", -1)]:
    return await scale(values, factor)

@greet.samples
def samples():
    yield hs.Sample({"values": np.ones(3, np.float32), "factor": 2, "name": "you"})
"""

OPENAPI_CASES = 2_400
DECODED_CASES = 20_000
LIVE_CASES = 3_000

Document = dict[str, Any]


def run(document: Document | None = None) -> dict[str, float]:
    """Try everything on a server of a small pipeline. Raise what says which case failed, and how."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pipeline.py"
        file.write_text(PIPELINE)
        plan = Path(folder) / "plan.json"
        stage = make_variant("scale", model=FUNCTION, engine=FUNCTION)
        made = make_plan({"scale": 0.1}, slo_ms=1000, variants={"scale": stage}, pipeline=MODEL)
        plan.write_bytes(msgspec.json.encode(made))
        with serving(str(file), ["--store", f"{folder}/store", "--plan", str(plan)]) as url:
            before = _workers()
            own = fetch_document(url)
            _say(f"{OPENAPI_CASES} cases or more from the server's own OpenAPI document")
            figures = {"own OpenAPI: cases that conform": float(check_document(url, own, OPENAPI_CASES))}
            if document is not None:
                _say(f"{OPENAPI_CASES} cases or more from the protocol's")
                figures["the protocol's OpenAPI: cases that conform"] = float(
                    check_document(url, mended(document), OPENAPI_CASES)
                )
            _say(f"{LIVE_CASES} fuzzed bodies through the server")
            statuses = fuzz_live(url, MODEL, LIVE_CASES)
            figures |= {f"fuzzed bodies answered with {status}": float(n) for status, n in sorted(statuses.items())}
            figures["workers that were replaced"] = float(len(before - _workers()))
            asyncio.run(_serves(url))
    _say(f"{DECODED_CASES} fuzzed bodies to decode")
    decoded = fuzz_decoding(DECODED_CASES)
    return figures | {f"fuzzed bodies {how}": float(n) for how, n in decoded.items()}


def fetch_document(url: str) -> Document:
    """Read the server's own document."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    connection.request("GET", "/v2/docs")
    found: Document = json.loads(connection.getresponse().read())
    connection.close()
    return found


def mended(document: Document) -> Document:
    """Write parameters of paths as OpenAPI does, and add paths without a version, which the protocol has as well."""
    text = json.dumps(document).replace("${", "{")
    mended_document: Document = json.loads(text)
    paths = mended_document["paths"]
    for path, item in list(paths.items()):
        short = path.replace("/versions/{MODEL_VERSION}", "")
        if short != path:
            copy = json.loads(json.dumps(item).replace("-versions-$-modelVersion", ""))
            copy["parameters"] = [each for each in item["parameters"] if each["name"] != "MODEL_VERSION"]
            for operation in copy.values():
                if isinstance(operation, dict):
                    operation.pop("operationId", None)
            paths[short] = copy
    return mended_document


def check_document(url: str, document: Document, cases: int, model: str = MODEL) -> int:
    """Try so many cases, shared by the operations; return how many there were. Half of them name a real model.

    Statuses, media types, headers and bodies of answers must be as documented, and none a server's error. A document
    that says nothing of an error (the protocol's own is silent of most) is not held against it: then only the body has
    to be ``{"error": "…"}``.
    """
    import requests
    import schemathesis

    found: Any = schemathesis.openapi.from_dict(document).get_all_operations()
    operations = [each.ok() for each in found]
    varied = [each for each in operations if "{" in each.path or "requestBody" in each.definition.raw]
    count = 0
    with requests.Session() as session:
        for operation in operations:
            trial = _Trial(url, session, model, strict="/v2/docs" in document["paths"])
            test = hypothesis.given(case=operation.as_strategy(), real=st.booleans())(trial.run)
            _examples(-(-cases // len(varied)))(test)()
            count += trial.count
    return count


class _Trial:
    """Tries cases of one operation; ``strict`` where its document means to be complete."""

    def __init__(self, url: str, session: Any, model: str, *, strict: bool) -> None:
        self.count = 0
        self._url = url
        self._session = session
        self._model = model
        self._strict = strict

    def run(self, case: Any, real: bool) -> None:  # noqa: FBT001 - hypothesis passes it
        from schemathesis.checks import not_a_server_error
        from schemathesis.specs.openapi import checks

        self.count += 1
        for name in case.path_parameters or {}:
            if real and name.lower() in {"model", "model_name"} and not case.path.endswith("load"):
                case.path_parameters[name] = self._model
        response = case.call(base_url=self._url, session=self._session, timeout=30)
        if self._strict or str(response.status_code) in case.operation.definition.raw["responses"]:
            used = [
                not_a_server_error,
                checks.status_code_conformance,
                checks.content_type_conformance,
                checks.response_headers_conformance,
                checks.response_schema_conformance,
            ]
            case.validate_response(response, checks=used)
        else:
            assert 400 <= response.status_code < 500, response.content
            assert isinstance(json.loads(response.content)["error"], str)


def fuzz_decoding(cases: int) -> Counter[str]:
    """Decode nearly right bodies; return how many could be. Whatever else than a refusal comes out is raised."""
    ends: Counter[str] = Counter()

    @_examples(cases)
    @hypothesis.given(bodies())
    def try_one(sent: tuple[bytes, str | None]) -> None:
        try:
            decode_request(*sent)
        except InvalidInputError:
            ends["refused"] += 1
        else:
            ends["decoded"] += 1

    try_one()
    return ends


def fuzz_live(url: str, model: str, cases: int) -> Counter[int]:
    """Send nearly right bodies; return the statuses of the answers. One that is no 200 or 400 is an error."""
    statuses: Counter[int] = Counter()
    connection = http.client.HTTPConnection(url.removeprefix("http://"))

    @_examples(cases)
    @hypothesis.given(bodies())
    def try_one(sent: tuple[bytes, str | None]) -> None:
        body, length = sent
        headers = {} if length is None else {HEADER_LENGTH: length}
        connection.request("POST", f"/v2/models/{model}/infer", body, headers)
        with connection.getresponse() as answer:
            text = answer.read()
            statuses[answer.status] += 1
            assert answer.status in {200, 400}, (answer.status, text)
            assert answer.status == 200 or json.loads(text)["error"]

    try_one()
    connection.close()
    return statuses


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, str | None]:
    """A request in binary form, right or nearly so, and what its header says of the length of the JSON."""
    names = draw(st.lists(st.sampled_from(["values", "factor", "name", "x"]), min_size=1, max_size=4, unique=True))
    arrays = {name: draw(_arrays(name)) for name in names}
    length, parts = encode_request(InferRequest(inputs=arrays, binary_output=draw(st.booleans())))
    body = b"".join(parts)
    assert length is not None
    head, rest = body[:length], body[length:]
    changes: list[Callable[[], tuple[bytes, bytes, str]]] = [
        lambda: (head, rest, str(length)),
        lambda: (_changed_json(draw, head), rest, ""),
        lambda: (head, _cut(draw, rest), str(length)),
        lambda: (head, rest, str(length + draw(st.integers(-length - 1, 70)))),
        lambda: (head, rest, draw(st.text(st.characters(max_codepoint=126, min_codepoint=33), max_size=25))),
        lambda: (_flipped(draw, head), _flipped(draw, rest), str(length)),
    ]
    head, rest, said = draw(st.sampled_from(changes))()
    return head + rest, said or str(len(head))


def _arrays(name: str) -> st.SearchStrategy[Any]:
    right = {
        "values": hnp.arrays(np.float32, st.integers(0, 5), elements=st.floats(-9, 9, width=32)),
        "factor": hnp.arrays(np.int64, 1, elements=st.integers(-3, 3)),
        "name": st.binary(max_size=9).map(lambda text: np.array([text], dtype=object)),
    }
    dtypes = [np.dtype(dtype) for datatype, dtype in DATATYPES.items() if datatype != "BYTES"]
    any_ = hnp.arrays(st.sampled_from(dtypes), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    texts = st.lists(st.binary(max_size=9), max_size=4).map(lambda each: np.array(each, dtype=object))
    return st.one_of(right.get(name, any_), right.get(name, any_), any_, texts)


def _changed_json(draw: st.DrawFn, head: bytes) -> bytes:
    """Change one thing that the JSON says of one tensor."""
    wire = json.loads(head)
    tensor = draw(st.sampled_from(wire["inputs"]))
    number = st.one_of(st.integers(-3, 40), st.integers(), st.floats(allow_nan=False), st.booleans(), st.none())
    what = draw(st.sampled_from(["binary_data_size", "shape", "datatype", "data", "region", "missing"]))
    if what == "binary_data_size":
        tensor["parameters"]["binary_data_size"] = draw(st.one_of(number, st.text(max_size=3)))
    elif what == "shape":
        tensor["shape"] = draw(st.lists(number, max_size=18))
    elif what == "datatype":
        tensor["datatype"] = draw(st.sampled_from([*DATATYPES, "BF16", "FP8", "", 3]))
    elif what == "data":
        tensor["data"] = draw(st.recursive(number, lambda inner: st.lists(inner, max_size=3), max_leaves=6))
        if draw(st.booleans()):
            tensor.pop("parameters")
    elif what == "region":
        tensor["parameters"] = {"shared_memory_region": draw(st.text(max_size=3)), "shared_memory_byte_size": 4}
    else:
        tensor.pop(draw(st.sampled_from(sorted(tensor))))
    return msgspec.json.encode(wire)


def _cut(draw: st.DrawFn, rest: bytes) -> bytes:
    end = draw(st.integers(0, len(rest)))
    return rest[:end] + draw(st.binary(max_size=9))


def _flipped(draw: st.DrawFn, data: bytes) -> bytes:
    changed = bytearray(data)
    for position in draw(st.lists(st.integers(0, max(len(data) - 1, 0)), max_size=3)) if data else ():
        changed[position] = draw(st.integers(0, 255))
    return bytes(changed)


def _examples(cases: int) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=cases,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=(hypothesis.Phase.generate,),
    )


def _say(what: str) -> None:
    print(f"{what} …", file=sys.stderr, flush=True)


def _workers() -> set[int]:
    return {process.pid for process in psutil.Process().children(recursive=True)}


async def _serves(url: str) -> None:
    async with Client(url) as client:
        values: dict[str, np.ndarray[Any, Any]] = {
            "values": np.ones(2, np.float32),
            "factor": np.array([3], np.int64),
            "name": np.array([b"you"], dtype=object),
        }
        outputs = await client.infer(MODEL, values)
        assert outputs["output"].tolist() == [3.0, 3.0]


def main() -> None:
    """Run it alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--document", type=Path, help="an OpenAPI document to hold the server to, too, as JSON or YAML")
    asked = parser.parse_args()
    document = msgspec.yaml.decode(asked.document.read_bytes()) if asked.document else None
    for figure, value in run(document).items():
        print(f"{figure:62} {value:12.0f}")


if __name__ == "__main__":
    main()
