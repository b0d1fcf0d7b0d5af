# Everything a person types. Needs make and a Python from 3.11 up; all else is installed into .venv, by hash.
# `make PYTHON=python3.13 test` uses another Python; `make test ARGS="tests/unit -k chain"` runs a part, and
# `make test WORKERS=0` in one process, for a debugger.

PYTHON ?= python3
ARGS ?=
SEED ?=
WORKERS ?= 2
PYTEST := -m pytest --numprocesses=$(WORKERS) --dist=loadgroup
VENV := .venv
BIN := $(VENV)/bin
export SEED
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The least branch coverage in per cent: of everything, and of the rooms where an untried branch loses data.
FLOOR ?= 90
FLOOR_CORE ?= 100
FLOOR_ENGINE ?= 100
FLOOR_STORE ?= 100
CORE := */sitting/core/*
ENGINE := */sitting/engine.py,*/sitting/reading.py,*/sitting/writing.py,*/sitting/holding.py
STORE := */sitting/store/*

.DEFAULT_GOAL := help
.PHONY: help run test check format demo bench soak lock clean
.DELETE_ON_ERROR:

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.run  ## start a server here and print the link to open
	@$(BIN)/sitting model install || echo "Going on without a local model: sessions use the methods that need none."
	@exec $(BIN)/sitting serve

test: $(VENV)/.test  ## the test suite
	$(BIN)/python $(PYTEST) $(ARGS)

check: $(VENV)/.test  ## what CI runs: lint, format, types, the suite, and its coverage
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/coverage erase
	$(BIN)/coverage run $(PYTEST) $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=$(FLOOR)
	$(BIN)/coverage report --include='$(CORE)' --fail-under=$(FLOOR_CORE)
	$(BIN)/coverage report --include='$(ENGINE)' --fail-under=$(FLOOR_ENGINE)
	$(BIN)/coverage report --include='$(STORE)' --fail-under=$(FLOOR_STORE)

format: $(VENV)/.test  ## put the source in its shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

demo: $(VENV)/.run  ## play every application with real input and verify what it leaves
	@$(BIN)/sitting demo

bench: $(VENV)/.test  ## measure: requests, streams, start, memory
	$(BIN)/python -m bench $(ARGS)

soak: $(VENV)/.test  ## the long columns of the promises; results add up in soak.jsonl
	$(BIN)/python -m pytest --soak --timeout=5400 $(ARGS)
	$(BIN)/python -m tests.support.ledger

lock: pyproject.toml  ## remake the lock files; ARGS=--upgrade takes new versions
	PYTHON=$(PYTHON) scripts/lock $(ARGS)

clean:  ## remove what the tools made; data/ stays
	rm -rf $(VENV) build dist htmlcov .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Sitting needs Python 3.11 or later; $(PYTHON) is older. Try make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: requirements-dev.lock $(VENV)/.run
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-dev.lock
	@touch $@
