# Two commands from nothing but Python >= 3.11 and make:
#   make demo   a planned failover between two real Kafka regions on this machine
#   make test   all tests
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help install demo demo-disaster test test-long test-fast simulate check lint types layers docs bench lock clean

help: ## show these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# pyproject.toml is a prerequisite: a new dependency or entry point means a new install.
$(READY): pyproject.toml .requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(f"drkit needs Python 3.11 or newer; $(PYTHON) is {v.major}.{v.minor}. Try: make PYTHON=python3.12") if v < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r .requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

install: $(READY) ## make .venv with drkit and everything locked

demo: $(READY) ## planned failover under load on two real Kafka regions
	$(BIN)/drkit demo

demo-disaster: $(READY) ## the source broker is killed under load
	$(BIN)/drkit demo --disaster

test: $(READY) ## the tests, on real brokers too
	@$(BIN)/drkit sandbox fetch 4.3.1 3.9.1 & $(BIN)/python -m pytest -m 'not sandbox' -n auto; passed=$$?; wait; exit $$passed
	$(BIN)/python -m pytest -m 'sandbox and shared' --durations=15
	$(BIN)/python -m pytest -m 'sandbox and not shared and not long' --durations=15

test-long: $(READY) ## on real brokers: offsets of every position, each step killed, brokers restarted, a disaster: 14 minutes
	$(BIN)/python -m pytest -m long --durations=0

simulate: $(READY) ## ten thousand histories of runs that are killed, frozen and cut off, and 500 of whole moves
	DRKIT_HISTORIES=10000 $(BIN)/python -m pytest -q -n auto tests/properties/test_run_simulation.py \
	  tests/properties/test_move_simulation.py

test-fast: $(READY) ## the tests that need no broker
	$(BIN)/python -m pytest -m 'not sandbox' -n auto

check: lint types layers docs ## what needs no broker: lint, types, layers, docs

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell drkit mm2 runbooks tests README.md CHANGELOG.md

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

docs: $(READY)
	$(BIN)/python -m pytest -q tests/unit/docs

bench: $(READY) ## paired measurements, environment printed
	$(BIN)/python -m tests.bench

lock: ## resolve the dependencies again (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --extra dev --upgrade pyproject.toml -o .requirements.lock

clean: ## remove the environment and any sandbox
	-test -x $(BIN)/drkit && $(BIN)/drkit sandbox down
	rm -rf $(VENV) .drkit
