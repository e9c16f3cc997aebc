# Two commands do everything on a fresh machine: make quickstart, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Not compiled: most of what the libraries hold is never imported. What is, COMPILE imports once, even where
# PYTHONDONTWRITEBYTECODE is set and every process would compile some 3,000 modules again.
COMPILE := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python scripts/compile_imports.py
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt

.PHONY: quickstart test lint format test-all clean

quickstart: $(VENV)/.ready  ## the embedded world, offline: base, finetuning, held-out evaluation, report
	$(BIN)/openflan quickstart

test: lint  ## lint, types, tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow"

test-all: lint  ## also what takes long: kills, whole runs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.ready-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) runs dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.ready: pyproject.toml constraints.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[report]'
	$(COMPILE)
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(PIP) --editable '.[data,dev,report]'
	$(COMPILE) pytest _pytest hypothesis xdist datasets
	touch $@
