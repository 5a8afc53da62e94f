# Everything a person needs, from a fresh clone. `make demo` and `make test` set themselves up.

PYTHON ?= python3.11
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
export PATH := $(abspath $(BIN)):$(PATH)
export OMP_NUM_THREADS ?= 1
# Modules are compiled when they are first imported, and that is kept: of all that is installed, most never is imported.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo test test-long chaos mutants lint ui clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP)  ## build the virtual environment from the lock file

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(STAMP)  ## run the main job end to end on synthetic corpora
	@./pipelines/demo.sh

test: $(STAMP)  ## everything a change must not break, the fault suite included
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-long: $(STAMP)  ## what is too long for every change: full sizes, exhaustive fault matrices, calibration
	$(BIN)/python -m pytest -n 2 --dist worksteal -m long

chaos: $(STAMP)  ## sweeps with faults at random moments (MINUTES=10 SEED=0)
	$(BIN)/python -m tests.faults.chaos --minutes $(or $(MINUTES),10) --seed $(or $(SEED),0)

mutants: $(STAMP)  ## plant faults one at a time and count those that the tests notice (hours)
	$(BIN)/python -m tests.mutants --json out/mutants.json

lint: $(STAMP)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

ui: $(STAMP)  ## open the MLflow pages on 127.0.0.1
	$(BIN)/jmml ui

clean:  ## remove what the pipeline made (not your corpora, not mlruns/)
	rm -rf data/manifests data/features data/cache data/code data/splits.json data/raw/synthetic-* models results out dvc.lock data/dvc.lock
