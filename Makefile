# Two commands do everything, set-up included: `make demo` and `make test`.
# Nothing is written outside this folder and the cache ($BFP_CACHE, else ~/.cache).

SHELL := /bin/sh
.DEFAULT_GOAL := help

UV_VERSION := 0.13.9
PYTHON ?= python3
BUILD := build
UV := $(BUILD)/uv/bin/uv
BIN := .venv/bin
READY := .venv/.ready

# Who kills make kills what it runs; and temporary files stay in here.
export BFP_ENDS_WITH := $(shell echo $$PPID)
export TMPDIR := $(CURDIR)/$(BUILD)/tmp
# Else each of the many commands that tests run would compile this package anew.
unexport PYTHONDONTWRITEBYTECODE
export UV_PROJECT_ENVIRONMENT := $(CURDIR)/.venv

# Tests often wait for a JVM or a broker: three groups of them run side by side.
MAKEFLAGS += --jobs=3

help: ## Say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-8s %s\n", $$1, $$2 }'

demo: $(READY) ## Run the whole loop on this machine: broker, registry, three batches, one training
	@$(BIN)/bfp demo

# The last of the three groups to end has the cores to itself and uses one: they are as long.
# What starts JVMs that end comes before what keeps one.
FIRST := tests/e2e/test_operating.py tests/e2e/test_kill_loop.py

test: test-loop test-kafka test-parts ## Check everything, then run every test

test-loop: check
	@$(BIN)/pytest tests/e2e $(FIRST:%=--ignore=%)

test-kafka: check
	@$(BIN)/pytest $(FIRST) tests/kafka

test-parts: check
	@$(BIN)/pytest --ignore=tests/e2e --ignore=tests/kafka

soak: soak-kills soak-rounds ## Kill the job 200 times, let 30 pairs of runs collide: an hour and a half

soak-kills: $(READY)
	@BFP_SOAK_KILLS=200 $(BIN)/pytest -o faulthandler_timeout=0 tests/e2e/test_kill_loop.py

soak-rounds: $(READY)
	@BFP_SOAK_ROUNDS=30 $(BIN)/pytest -o faulthandler_timeout=0 tests/e2e/test_two_runs.py

check: $(READY) ## Lint, types, imports, contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/bfp schema check

bench: $(READY) ## Measure beside the usual way; a part: ONLY=ledger; quick: EVENTS=200000 ROUNDS=1
	@$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY)) $(if $(EVENTS),--events $(EVENTS)) $(if $(ROUNDS),--rounds $(ROUNDS))

up: $(READY) ## Start a broker and a registry that stay
	@$(BIN)/bfp local up

down: $(READY) ## Stop them; their data stay
	@$(BIN)/bfp local down

$(READY): pyproject.toml uv.lock processor/local/jars.lock.json | $(UV)
	@mkdir -p $(TMPDIR)
	@echo "making the environment" >&2
	@$(UV) sync --quiet --frozen
	@$(BIN)/bfp local fetch >&2
	@touch $@

$(UV):
	@echo "fetching uv" >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=" >&2; exit 2; }
	@mkdir -p $(TMPDIR)
	@$(PYTHON) -m venv $(BUILD)/uv && $(BUILD)/uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.PHONY: help demo test soak soak-kills soak-rounds test-loop test-kafka test-parts check bench up down
