# Two commands do everything on a fresh machine: make quickstart, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Most of what the libraries hold is never imported, so pip compiles nothing. COMPILE imports once what is used, even
# where PYTHONDONTWRITEBYTECODE is set; otherwise every process would compile some 3,000 modules again.
COMPILE := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python scripts/compile_imports.py
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt
# Two processes, one thread each; the slowest 25 tests are printed.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --durations=25 --durations-min=1
SMOKE_EXTRAS := lora metrics t5x tensorboard wandb zstd

.PHONY: quickstart test lint format test-extras test-slow test-all clean

quickstart: $(VENV)/.ready  ## the embedded world, offline: base, finetuning, held-out evaluation, report
	$(BIN)/openflan quickstart

test: lint  ## lint, types, and the tests that take seconds
	$(PYTEST) -n 2 -m "not slow and not extra"

test-extras: $(VENV)/.ready-dev  ## one smoke test for each optional dependency
	for extra in $(SMOKE_EXTRAS); do $(PIP) --editable ".[$$extra]" || echo "the extra $$extra could not be installed"; done
	$(PYTEST) -vv -rs -m extra tests/extras

# STOP_AFTER=SECONDS: no test starts later, and the names of those that did not run are printed.
test-slow: $(VENV)/.ready-dev  ## kills and whole runs
	$(PYTEST) -n 2 -m slow $(if $(STOP_AFTER),--stop-after $(STOP_AFTER))

test-all: test test-extras test-slow  ## all tests

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
