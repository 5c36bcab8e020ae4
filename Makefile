# The commands of the project, for people and for CI. `make help` lists them.

PYTHON ?= python3
BIN := .venv/bin
UV_VERSION := 0.13.8
export UV_PYTHON_DOWNLOADS := never
COMPILE = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --annotation-style line \
	--custom-compile-command "make requirements"
SOURCES := include dags plugins sandbox tests benchmarks
# One worker per processor, at most four: each starts the servers that its tests need.
PYTEST := $(BIN)/python -m pytest -q --numprocesses logical --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help install demo up test thorough lint format large bench-growth bench-freshness bench-webhooks bench-start chaos requirements dictionary clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

install: $(BIN)/.installed ## Create .venv with the pinned requirements

$(BIN)/.installed: requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else f"Roomledger needs Python 3.11, 3.12 or 3.13, and {sys.executable} is {v[0]}.{v[1]}: run make PYTHON=python3.11 …")'
	@echo "Installing into .venv (a few minutes the first time)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip sync --quiet --compile-bytecode requirements-dev.txt
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q include
	@touch $@

demo: install ## Load two invented customers' buckets into a DuckDB file with Airflow, and show the result
	@$(BIN)/python -m sandbox.demo

up: install ## Run everything until Ctrl-C: Airflow, buckets with notifications, a simulated 100ms, new sessions
	@$(BIN)/python -m sandbox.up

test: install ## Run the tests on real local servers
	@$(PYTEST)

thorough: install ## Run all tests, with the slow ones, which take minutes
	@$(PYTEST) -m "slow or not slow"

large: install ## Measure the memory of a 1 GB chat file and a 12-hour transcript on both engines
	@$(BIN)/python -m benchmarks.large

bench-growth: install ## Measure how sweeps, loads and status grow with 10,000 to 300,000 objects, on both engines
	@$(BIN)/python -m benchmarks.growth

bench-freshness: install ## Measure the seconds until new objects are queryable, for each of the three notification paths
	@$(BIN)/python -m benchmarks.freshness

bench-webhooks: install ## Measure the latency of webhooks at 100 requests a second, with one API server of Airflow
	@$(BIN)/python -m benchmarks.webhooks

bench-start: install ## Measure the seconds until the command has started, with and without a warehouse
	@$(BIN)/python -m benchmarks.start

chaos: install ## Lose notifications, kill processes of Airflow, sweep, and compare with a run without faults
	@$(BIN)/python -m benchmarks.chaos

lint: install ## Check style and types
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check --quiet $(SOURCES)
	@$(BIN)/mypy

format: install ## Fix style and format the code
	@$(BIN)/ruff check --fix $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

requirements: ## Compile the pinned requirements from pyproject.toml
	@$(COMPILE) --upgrade --extra airflow --extra dev --output-file requirements-dev.txt
	@$(COMPILE) --upgrade --extra airflow --constraint requirements-dev.txt --output-file requirements.txt

dictionary: install ## Write docs/data-dictionary.md from the schema
	@$(BIN)/python -m roomledger.warehouse.dictionary > docs/data-dictionary.md

clean: ## Remove what make created: .venv, .work, caches
	rm -rf .venv .work build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name '*.egg-info' -type d -prune -exec rm -rf {} +
