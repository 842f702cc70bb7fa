# hydrad's two commands are `make demo` and `make test`; both begin with `make setup`.
# `make install` puts it onto a host: see docs/how-to/counting-house-host.md.

PYTHON ?= python3
ARGS ?=
AT_ONCE ?= 2
SECONDS ?= 120
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet install

.PHONY: setup prepare demo test test-phoebus test-ray test-int8 test-jax lint bench bench-pages soak soak-ca dead-boards fuzz bundle lock clean install install-units uninstall wheels test-install audit faults

setup: .venv/.ready

.venv/.ready: constraints/run.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
		{ echo "hydrad needs Python 3.11, 3.12 or 3.13: make PYTHON=python3.11 …"; exit 2; }
	@$(PYTHON) -m venv .venv || { echo "Python's venv is missing: apt-get install python3-venv"; exit 2; }
	@echo "setting up .venv (TensorFlow is large: a minute or two)"
	$(PIP) --no-deps --require-hashes -r constraints/run.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@$(BIN)/pip --disable-pip-version-check --quiet check
	@touch $@

prepare: .venv/.dev-ready

.venv/.dev-ready: .venv/.ready constraints/dev.txt scripts/test-prerequisites
	scripts/test-prerequisites
	$(PIP) --no-deps --require-hashes -r constraints/dev.txt
	@$(BIN)/pip --disable-pip-version-check --quiet check
	@touch $@

demo: setup
	$(BIN)/hydrad demo $(ARGS)

test: prepare
	$(BIN)/pytest --numprocesses $(AT_ONCE) --dist loadfile --no-loadscope-reorder $(ARGS)

# With CS-Studio itself where it is installed: make test-phoebus ALARM_SERVER=…/alarm-server.sh PHOEBUS=…/phoebus.sh
test-phoebus: prepare
	PYTHON=$(PYTHON) PHOEBUS=$(PHOEBUS) scripts/phoebus-prerequisites
	ALARM_SERVER=$(ALARM_SERVER) PHOEBUS=$(PHOEBUS) $(BIN)/pytest tests/phoebus $(ARGS)

# A Ray cluster of three nodes on this machine, one of which is killed.
test-ray: prepare .venv/.ray-ready
	$(BIN)/pytest tests/on_ray $(ARGS)

# Keras on JAX, as where TensorFlow is not installed; on PyTorch too where somebody installed it.
test-jax: prepare .venv/.jax-ready
	$(BIN)/pytest tests/without_tensorflow $(ARGS)

# NNCF quantizes a network that has learned, on this machine.
test-int8: prepare .venv/.int8-ready
	$(BIN)/pytest tests/in_int8 $(ARGS)

.venv/.ray-ready .venv/.jax-ready .venv/.int8-ready: .venv/.%-ready: .venv/.dev-ready constraints/%.txt
	$(PIP) --no-deps --require-hashes -r constraints/$*.txt
	@$(BIN)/pip --disable-pip-version-check --quiet check
	@touch $@

lint: prepare
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Whether a pinned package has a known vulnerability, where their data base can be reached; the tests check the policy.
audit:
	$(PYTHON) scripts/audit.py

bench: prepare
	$(BIN)/hydrad bench $(ARGS)

bench-pages: prepare
	$(BIN)/python benchmarks/pages.py $(ARGS)

# A simulated day at ten times speed takes 2.4 hours: make soak ARGS="--minutes 20" for less
soak: prepare
	$(BIN)/python benchmarks/soak.py $(ARGS)

soak-ca: prepare
	HYDRA_SOAK=long $(BIN)/pytest --capture no tests/integration/test_ca_soak.py $(ARGS)

faults: prepare
	@rm -rf artifacts/faults
	@command -v faketime >/dev/null || echo "without faketime (apt-get install faketime) the clock stays as it is"
	HYDRA_FAULTS=long $(BIN)/pytest tests/faults $(ARGS); status=$$?; $(BIN)/python scripts/faults_table.py && exit $$status

dead-boards: prepare
	$(BIN)/python benchmarks/dead_boards.py $(ARGS)

# The API, mutants by the ten thousand, then the decoder and the layouts, each for SECONDS; guided by what they reach.
fuzz: prepare .venv/.fuzz-ready
	HYDRA_FUZZ_EXAMPLES=200 $(BIN)/pytest tests/integration/test_web_openapi.py $(ARGS)
	HYDRA_FUZZ=long $(BIN)/pytest --capture no tests/unit/test_hostile_images.py $(ARGS)
	$(BIN)/python tests/fuzz/run.py --seconds $(SECONDS)

.venv/.fuzz-ready: .venv/.dev-ready constraints/fuzz.txt
	$(PIP) --no-deps --require-hashes -r constraints/fuzz.txt
	@touch $@

bundle: setup
	$(BIN)/python -m hydrad.schooling --replace $(ARGS)

lock: prepare
	scripts/lock

clean:
	rm -rf .venv demo artifacts .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

export DESTDIR PREFIX LIBDIR BINDIR PYTHON WHEELS MYSQL REQUIREMENTS

install:
	scripts/install programs
	scripts/install units

install-units:
	scripts/install units

uninstall:
	scripts/install remove

wheels:
	scripts/install wheels

test-install: prepare
	HYDRA_TEST_INSTALL=1 $(BIN)/pytest tests/integration/test_installed_programs.py $(ARGS)
