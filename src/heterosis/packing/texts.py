"""The texts of a packed worker."""

IMAGES = {
    "cpu": "FROM docker.io/library/python:{python}-slim\n",
    "cuda": "FROM nvcr.io/nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04\n"
    "ENV PIP_BREAK_SYSTEM_PACKAGES=1\n"
    "RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-pip\n",
}
"""What a container starts from, for each kind of machine that can be packed for."""

START = """\
#!/bin/sh
# Joins a server: ./start --join tcp://HOST:PORT --token-file FILE. PYTHON is the interpreter, python3 by default.
here=$(cd "$(dirname "$0")" && pwd)
PYTHONPATH="$here/lib${PYTHONPATH:+:$PYTHONPATH}" PYTHONDONTWRITEBYTECODE=1 \\
    exec "${PYTHON:-python3}" -m heterosis.cli worker "$here" "$@"
"""

CONTAINERFILE = """\
{image}WORKDIR /worker
COPY requirements.txt .
RUN python3 -m pip install --no-cache-dir --no-deps -r requirements.txt
COPY . .
RUN useradd --no-create-home worker
USER worker
ENTRYPOINT ["./start"]
"""

README = """\
# {stage} of {pipeline}: {variant}, for {target}

A worker of heterosis. It joins a server that runs `heterosis serve … --workers-at tcp://HOST:PORT --token-file FILE`,
and takes its share of the calls of stage `{stage}`, in which that server must run this very variant.

    python3 -m venv venv && venv/bin/pip install --no-deps -r requirements.txt     # Python {python}
    PYTHON=venv/bin/python ./start --join tcp://HOST:PORT --token-file FILE

or in a container:

    podman build -t {stage} .
    podman run --rm --network host -v ./token:/token:ro {stage} --join tcp://HOST:PORT --token-file /token

The router listens at the port after PORT: both must be reachable. What travels is not encrypted, so across hosts use a
network of your own, or a tunnel. `manifest.json` has the digest of every file; the worker does not start where one has
changed.
"""
