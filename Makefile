# hydrad's two commands are `make demo` and `make test`; both begin with `make setup`.

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet install

.PHONY: setup prepare demo test lint bench dead-boards bundle docs lock clean

setup: .venv/.ready

.venv/.ready: constraints/run.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
		{ echo "hydrad needs Python 3.11, 3.12 or 3.13: make PYTHON=python3.11 …"; exit 2; }
	@$(PYTHON) -m venv .venv || { echo "Python's venv is missing: apt-get install python3-venv"; exit 2; }
	@echo "setting up .venv (TensorFlow is large: a minute or two)"
	$(PIP) --require-hashes -r constraints/run.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

prepare: .venv/.dev-ready

.venv/.dev-ready: .venv/.ready constraints/dev.txt scripts/test-prerequisites
	scripts/test-prerequisites
	$(PIP) --require-hashes -r constraints/dev.txt
	@touch $@

demo: setup
	$(BIN)/hydrad demo $(ARGS)

test: prepare
	$(BIN)/pytest $(ARGS)

lint: prepare
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: prepare
	$(BIN)/hydrad bench $(ARGS)

dead-boards: prepare
	$(BIN)/python benchmarks/dead_boards.py $(ARGS)

bundle: setup
	$(BIN)/python -m hydrad.schooling --replace $(ARGS)

lock: prepare
	scripts/lock

clean:
	rm -rf .venv demo artifacts .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
