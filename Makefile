# `make up` and `make test` are the whole set-up; `make help` lists the rest.
.DEFAULT_GOAL := help
.PHONY: help install up test test-unit test-slow test-external docs check check-types check-sql check-defs format bench \
	lock clean

# the newest Python that the lock file was made for
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	>/dev/null 2>&1 && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | awk -F ':.*?## ' '{printf "  make %-14s %s\n", $$1, $$2}'

install: $(INSTALLED) ## the environment alone (.venv), from the lock file with hashes

$(INSTALLED): requirements-dev.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11, 3.12 or 3.13 with venv found (Debian: apt-get install python3 python3-venv)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@# uv takes under a minute, byte code included, where pip takes three; pip remains for machines on which only pip is configured
	awk '/^[^ ]/ {is_uv = /^uv==/} is_uv' requirements-dev.lock > $(VENV)/uv.lock
	$(PIP) --require-hashes -r $(VENV)/uv.lock
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes requirements-dev.lock \
		|| $(PIP) --require-hashes -r requirements-dev.lock
	$(PIP) --no-build-isolation --editable .
	$(BIN)/python -m pip check
	@touch $(INSTALLED)

up: $(INSTALLED) ## everything: server, sample data, Dagster UI on 3000, dashboards on 8050
	@$(BIN)/voiceai up

# in the order of collection, the long files of browser and integration first: the short ones fill the end
test: $(INSTALLED) ## unit, integration and browser tests
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder --durations 30

test-unit: $(INSTALLED) ## seconds, without a server
	$(BIN)/python -m pytest tests/unit -m "not slow"

test-slow: $(INSTALLED) ## simulations that take minutes
	$(BIN)/python -m pytest -m slow

test-external: $(INSTALLED) ## the integration tests on Debian's own PostgreSQL
	$(BIN)/python tests/external_server.py $(BIN)/python -m pytest tests/integration -m "not slow"

docs: $(INSTALLED) ## the site of dbt's documentation: .voiceai/docs/index.html
	@$(BIN)/voiceai docs

check: $(INSTALLED) ## lint, format, types, SQL, definitions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) --no-print-directory --jobs 2 check-types check-sql check-defs

check-types check-sql check-defs: $(INSTALLED)
check-types:
	$(BIN)/mypy
check-sql:
	$(BIN)/sqlfluff lint --disable-progress-bar dbt_project/models dbt_project/tests
check-defs:
	$(BIN)/dg check defs

format: $(INSTALLED) ## rewrite code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED) .venv-bench/.installed ## measured ratios, all in one run
	BENCH_PYTHON=.venv-bench/bin/python $(BIN)/python -m benchmarks

# what we compare ourselves with, in an environment of its own: its dependencies are not ours
.venv-bench/.installed: requirements-bench.lock
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-bench.lock
	touch $@

lock: $(INSTALLED) ## resolve the dependencies anew
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --upgrade -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --upgrade -o requirements-dev.lock
	$(BIN)/uv pip compile --group pyproject.toml:bench --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --upgrade -o requirements-bench.lock

clean: ## remove the environment and caches; your data in .voiceai stays
	rm -rf $(VENV) .venv-bench .pytest_cache .mypy_cache .ruff_cache .hypothesis dbt_project/target dbt_project/logs *.egg-info
