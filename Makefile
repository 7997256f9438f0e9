# `make` alone says what there is. Two files in .venv remember what is installed, so that a second run starts at once.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
ARGS ?=
# Two at a time, each file by one of them: most tests wait, for a disk, a server or a browser.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: help
help:  ## Say what each recipe does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/.python-ready .venv/.npm-ready  ## Install everything pinned into .venv and node_modules (Python >= 3.11 and Node only, no root)

.venv/.python-ready: requirements.lock pyproject.toml scripts/setup-python
	@scripts/setup-python
	@touch $@

.venv/.npm-ready: package.json package-lock.json scripts/setup-npm scripts/get-ohif .venv/.python-ready
	@scripts/setup-npm
	@touch $@

.PHONY: demo
demo: setup  ## Start the server and send it real studies as two hospitals; open the address it prints
	@$(BIN)/huitong demo $(ARGS)

.PHONY: demo-scaled
demo-scaled: setup  ## The same on PostgreSQL and S3, with two servers on one store
	@$(BIN)/huitong demo --scaled $(ARGS)

.PHONY: serve
serve: setup  ## Start an empty archive that knows the two demo institutions
	@$(BIN)/huitong serve --demo $(ARGS)

.PHONY: test-tools
test-tools:  ## Install what tests drive beside Python and Node: dcmtk, strace, SoftHSM, zbar, Chromium, Chinese fonts (apt, root or sudo)
	@scripts/test-tools

.PHONY: test
test: setup test-tools  ## Run all tests, those of the main job on either home (ARGS="-k name" for some)
	@$(PYTEST) $(ARGS)
	@$(MAKE) test-scaled

.PHONY: test-scaled
test-scaled: setup test-tools  ## Run the tests of the main job on PostgreSQL and S3, started for them
	@$(PYTEST) --home scaled -m "not scaled" tests/app tests/directory tests/imaging tests/people tests/web $(ARGS) || [ "$$?" -eq 5 -a -n "$(ARGS)" ]

.PHONY: lint
lint: .venv/.python-ready  ## Look for faults and departures from the house style in the text of the code
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: types
types: .venv/.python-ready  ## Check every type
	@$(BIN)/mypy --strict

.PHONY: imports
imports: .venv/.python-ready  ## Check that rooms import downwards only and are entered by their entrances
	@$(BIN)/lint-imports --no-cache

.PHONY: audit
audit: .venv/.python-ready  ## Ask advisory services about every locked dependency; says so where none can be reached
	@$(BIN)/python scripts/audit.py

.PHONY: check
check: lint types imports test  ## What CI runs: lint, types, imports, test

.PHONY: format
format: .venv/.python-ready  ## Lay the code out and mend what can be mended mechanically
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

.PHONY: docs
docs: .venv/.python-ready  ## Make the generated pages anew: settings, errors, commands, sample file
	@$(BIN)/python scripts/make_docs.py

.PHONY: bench
bench: setup test-tools  ## Measure speed, beside Orthanc where it is installed (ARGS="--help" says what can be chosen)
	@$(BIN)/python -m bench $(ARGS)

.PHONY: lock
lock:  ## Resolve all dependencies anew into requirements.lock and package-lock.json
	@scripts/lock

.PHONY: clean
clean:  ## Remove what setup, checks and demo made, the demo's archive too
	rm -rf .venv node_modules build dist run .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis src/huitong.egg-info
	find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
