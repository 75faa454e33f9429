# Everything runs in .venv, which the first target that needs it makes. Only Python 3.11+ and make are assumed.

PYTHON ?= python3
BIN := .venv/bin
OUT ?= out
PIPELINE ?= examples/ocr/pipeline.py

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench serve docs lock clean

help:
	@echo "make demo    variants -> profile -> plan -> serve -> bench on the OCR example, with a report in $(OUT)/demo"
	@echo "make serve   serve PIPELINE ($(PIPELINE)) on http://127.0.0.1:8000"
	@echo "make test    all tests"
	@echo "make lint    style, types, import contracts"
	@echo "make bench   benchmarks: serving overhead, scheduler, planner"
	@echo "make docs    the documentation, in docs/_build/html"

demo: .venv/ready
	$(BIN)/heterosis demo --out $(OUT)/demo

serve: .venv/ready
	$(BIN)/heterosis serve $(PIPELINE)

# Tests that wait for processes have the machine to themselves; all others share it.
test: .venv/ready
	$(BIN)/pytest -m "not live" --numprocesses auto
	$(BIN)/pytest -m live

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/ready
	$(BIN)/python -m benchmarks

docs: .venv/ready
	$(BIN)/sphinx-build -W -q docs docs/_build/html

# The lock is for every platform and every Python that we support; only who changes dependencies needs uv.
lock:
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --extra openvino --extra litert --extra nvidia \
		--extra examples --group dev --group docs pyproject.toml --output-file requirements.lock

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "heterosis needs Python 3.11 or newer; say which with make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

clean:
	rm -rf .venv .heterosis $(OUT) docs/_build
