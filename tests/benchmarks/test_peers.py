"""The comparison with other servers: what is sent is what is meant, and CPU time is all there is."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.peers.__main__ import main
from benchmarks.peers.cpu import tree_cpu_seconds
from benchmarks.peers.models import INPUT, example, make_models
from benchmarks.peers.payloads import BINARY_LENGTH, oip_binary, oip_grpc, oip_json, plain_json, raw
from benchmarks.peers.server import METERED
from benchmarks.peers.servers import PEERS
from heterosis.serving.protocol import decode_request
from heterosis.serving.protocol.grpc.codec import decode_infer_request

TENSOR = example()

FORKS = """
import os
if os.fork():
    os.wait()
while sum(os.times()[:2]) < 1.0: pass
print("spent", flush=True)
input()
"""


RUNS = """
import sys, time
from benchmarks.peers.models import INPUT, example, open_session
session, feed = open_session(sys.argv[1]), {INPUT: example()}
begin = time.thread_time()
for _ in range(20):
    session.run(None, feed)
print(time.thread_time() - begin)
"""


def test_the_forms_of_the_open_inference_protocol_hold_the_tensor() -> None:
    """Read by our own server's decoders."""
    binary, text, grpc = (form("net").encode(TENSOR) for form in (oip_binary, oip_json, oip_grpc))
    assert np.array_equal(decode_request(binary.body, binary.headers[BINARY_LENGTH]).inputs[INPUT], TENSOR)
    assert np.array_equal(decode_request(text.body).inputs[INPUT], TENSOR)
    assert np.array_equal(decode_infer_request(grpc.body).inputs[INPUT], TENSOR)


def test_other_forms_hold_the_tensor_of_one_item() -> None:
    """Bytes as they are, and numbers that read as the same floats."""
    assert raw("/").encode(TENSOR).body == TENSOR.tobytes()
    numbers = np.array(eval(plain_json("/").encode(TENSOR).body)["data"], np.float32)  # noqa: S307 - our own
    assert np.array_equal(numbers, TENSOR[0])


def test_cpu_time_is_that_of_all_processes() -> None:
    """Of a child, too."""
    command = [sys.executable, "-c", FORKS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603
        assert process.stdout is not None
        process.stdout.readline()
        assert tree_cpu_seconds(process.pid) >= 0.9
        process.kill()


def test_what_is_spent_inside_the_engine_is_counted_where_it_is_spent(tmp_path: Path) -> None:
    """By a process that knows nothing of it."""
    (model,) = make_models(tmp_path, (0.5,))
    counts = tmp_path / "counts"
    counts.mkdir()
    environment = {**os.environ, "PYTHONPATH": f"{METERED}{os.pathsep}{Path.cwd()}", "PEER_METER": str(counts)}
    command = [sys.executable, "-c", RUNS, model.path]
    spent_s = float(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)  # noqa: S603
    (file,) = counts.iterdir()
    nanoseconds, runs = np.frombuffer(file.read_bytes(), np.uint64).tolist()
    assert runs == 20
    assert 0.5 * spent_s < nanoseconds / 1e9 <= spent_s


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_is_pinned_and_has_a_program(name: str) -> None:
    """So that two runs compare the same."""
    peer = PEERS[name]
    assert Path(f"benchmarks/peers/programs/{name}_server.py").is_file()
    assert all("==" in package or package == "numpy" for package in peer.packages)
    assert set(peer.batched) <= {"binary", "json", "grpc"}


@pytest.mark.parametrize("options", [[], ["--together"]])
def test_our_own_server_is_measured_like_any(tmp_path: Path, options: list[str]) -> None:
    """Each protocol has a row, with what is spent outside of the engine a part of the whole."""
    file = tmp_path / "rows.json"
    quick = ["--models", "1", "--batching", "off", "--quick", "--rounds", "1", "--json", str(file)]
    main(["--servers", "heterosis", *quick, "--protocols", "binary", "grpc", *options])
    found = msgspec.json.decode(file.read_bytes())
    assert not found["failures"]
    assert [row["protocol"] for row in found["rows"]] == ["binary", "grpc"]
    for row in found["rows"]:
        assert not row["errors"]
        assert row["rps"] > 0
        assert 0 < row["outside_cpu_ms_per_request"] < row["server_cpu_ms_per_request"]
