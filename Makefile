# What a person, or CI, does with a checkout; `make help` lists it. It needs make and Python 3.11 or newer: every tool
# goes into .venv, at the versions and hashes in requirements/. Other Python: make test PYTHON=python3.13
# `make test-slow` reads our reports where people read them: it needs Chromium (Debian's is installed where that
# is allowed) and node, for the packages locked in tests/tools/. `make oracles` needs npm for the one locked in oracles/.

PYTHON ?= python3
ARGS   ?=
CLIENTS ?=
comma  := ,
VENV   := .venv
BIN    := $(VENV)/bin
PY     := $(BIN)/python
PIP    := $(PY) -m pip --disable-pip-version-check --no-input --quiet --quiet
LOCKS  := requirements/runtime.txt requirements/fleet.txt requirements/build.txt requirements/dev.txt
CLIENT_LOCKS := $(wildcard clients/*/*/requirements.txt)
TREES  := tests/tools/package-lock.json oracles/package-lock.json $(wildcard clients/_node/package-lock.json clients/*/*/package-lock.json)

# What is in .venv, a file each, made when that step is complete.
RUNTIME := $(VENV)/.made-runtime
PROJECT := $(VENV)/.made-project
DEV     := $(VENV)/.made-dev

# Real clients, apart from ours: the Python ones, and the one for Node.
ORACLES   := .venv-oracles
JUDGES    := $(ORACLES)/.made
NODE_SDK  := oracles/node_modules/.package-lock.json
# What mutation testing needs: all that the tests need, and Cosmic Ray, which brings a lot with it.
MUTANTS   := .venv-mutants
MUTATORS  := $(MUTANTS)/.made
# The programs by which the tests read our documents. npm writes that file when a tree is whole.
READERS  := tests/tools/node_modules/.package-lock.json
READ_BY  := $(READERS) browser prometheus zsh
BROWSERS := chromium chromium-browser google-chrome

# Tests and `make conform` are about the embedded tenant, whatever tenant this shell is set up for; and a setting of
# pip that suits a machine (install for the user, outside a virtual environment) does not suit a virtual environment.
unexport GT_BASE_URL GT_API_KEY GT_MODEL PIP_USER PIP_TARGET PIP_PREFIX PYTHONHOME PYTHONPATH
# Each process would compile the development tools and the tests again: seven seconds for each that collects the tests.
unexport PYTHONDONTWRITEBYTECODE

# A .venv that was copied here from elsewhere, whose Python is gone, or whose Python is not the one now asked for by
# name, counts as not made. One that was interrupted half-way has no file for the step that it was in.
ifneq ($(shell test "$$(cat $(RUNTIME) 2>/dev/null)" = "$(CURDIR)" && $(PY) -c '' 2>/dev/null && echo whole),whole)
  $(shell rm -f $(RUNTIME) $(PROJECT) $(DEV))
else ifneq ($(origin PYTHON),file)
  ifneq ($(shell test "$$($(PYTHON) -VV 2>&1)" = "$$($(PY) -VV 2>&1)" && echo same),same)
    $(shell rm -f $(RUNTIME) $(PROJECT) $(DEV))
  endif
endif
ifneq ($(shell test "$$(cat $(MUTATORS) 2>/dev/null)" = "$(CURDIR)" && $(MUTANTS)/bin/python -c '' 2>/dev/null && echo whole),whole)
  $(shell rm -f $(MUTATORS))
endif
ifneq ($(shell test "$$(cat $(JUDGES) 2>/dev/null)" = "$(CURDIR)" && $(ORACLES)/bin/python -c '' 2>/dev/null && echo whole),whole)
  $(shell rm -f $(JUDGES))
endif

.PHONY: help setup setup-fleet conform test test-slow browser prometheus zsh oracles prove mutants bench fleet clients lint lock samples wheel pyz clean
.DEFAULT_GOAL := help

help: ## this list
	@echo 'make TARGET [PYTHON=python3.13] [ARGS="..."]'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(PROJECT) ## set up .venv, and no more

setup-fleet: $(PROJECT) ## set up .venv with what judging a fleet needs besides
	@$(PIP) install --require-hashes --requirement requirements/fleet.txt

conform: $(PROJECT) ## set up, then prove all runbooks against the embedded tenant (ARGS="--runbook dify": one)
	@$(BIN)/gt-conformance run $(ARGS)

# The files that take longest, first: a process takes a file at a time, and the last to come is waited for. Three processes
# for two cores, because tests wait for servers and clocks. Each file is named once: of a file and its folder, pytest 9 takes the folder.
LONGEST   := $(patsubst %,tests/test_%.py,run_options fleet_report clients checks_hostile doctor output watch fleet_run verify slo table)
LONG_SLOW := $(patsubst %,tests/test_%.py,pages_in_chromium fleet_engines fleet_dask documents one_cause compliance_html fleet_in_chromium secrets_canary rotate outages newcomers client_runs ci_examples first_page)
# Those without a slow test only: each process imports all that it may have to run, and for some of those that is a lot.
FILES     := $(LONGEST) $(filter-out $(LONGEST),$(sort $(shell grep -LE '^pytestmark = pytest.mark.(slow|runs)' tests/test_*.py)))
RUNS       = $(shell grep -l 'pytest\.mark\.runs' tests/test_*.py)
SLOW       = $(LONG_SLOW) $(filter-out $(LONG_SLOW),$(shell grep -lE 'pytest\.mark\.(slow|runs)' tests/test_*.py))
OWN_TESTS := -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder --quiet

# Before Python 3.14, to measure branches costs half of the time again: who adds a module, or tests, does it.
test: $(PROJECT) $(DEV) $(if $(ALL),$(READ_BY)) ## set up, then run this project's own tests but for the slow ones (ALL=yes: all; COVERAGE=yes: whole runs too, with the coverage gate)
ifdef COVERAGE
	@$(PY) -m coverage erase
	@$(PY) -m coverage run $(OWN_TESTS) -m 'not slow' $(RUNS) $(filter-out $(RUNS),$(FILES))
	@$(PY) -m coverage combine --quiet
	@$(PY) -m coverage report
else ifdef ALL
	@$(PY) $(OWN_TESTS) $(SLOW) $(filter-out $(SLOW),$(FILES))
else
	@$(PY) $(OWN_TESTS) -m 'not slow and not runs' $(FILES)
endif

test-slow: $(PROJECT) $(DEV) $(READ_BY) ## the slow ones: whole runs by the dozen, workflows, reports in Chromium
	@$(PY) $(OWN_TESTS) -m 'slow or runs' $(SLOW)

oracles: $(PROJECT) $(JUDGES) $(NODE_SDK) ## have OpenAI's own packages, langchain-openai and litellm drive the embedded tenant
	@$(ORACLES)/bin/python -m pytest oracles --quiet -p no:cacheprovider $(ARGS)

lint: $(PROJECT) $(DEV) ## ruff, mypy --strict, import-linter, the words of messages; the locks suit pyproject.toml and name no registry
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PY) -m tests.words
	$(PY) -m pip check
	@! grep -nE '://|index-url|find-links|trusted-host|(^|[ =])/' $(LOCKS) requirements/oracles.txt requirements/mutants.txt $(CLIENT_LOCKS) || \
	  { echo 'A lock file names a registry or a path of one machine (the lines above). `make lock` writes none.'; exit 1; }
	@! grep -n '"resolved"' $(TREES) || \
	  { echo 'A package-lock.json names a registry (the lines above). npm install, called as clients/README.md has it, writes none.'; exit 1; }

# Keeps what is locked where it can; ARGS=--upgrade takes the newest of everything, ARGS="--upgrade-package NAME" of one.
# A registry other than uv's default is named by uv's own environment variables, npm's in npm's, never in a file.
UV ?= $(BIN)/uv
COMPILE = $(UV) pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(ARGS)

lock: $(if $(filter $(BIN)/uv,$(UV)),$(DEV)) ## lock the requirements again from pyproject.toml (ARGS=--upgrade: newest)
	$(COMPILE) pyproject.toml --output-file requirements/runtime.txt
	$(COMPILE) pyproject.toml --extra fleet --constraint requirements/runtime.txt --output-file requirements/fleet.txt
	$(COMPILE) --group build --constraint requirements/runtime.txt --output-file requirements/build.txt
	$(COMPILE) pyproject.toml --extra fleet --group dev --constraint requirements/fleet.txt --constraint requirements/build.txt \
	  --output-file requirements/dev.txt
	$(COMPILE) --group oracles --output-file requirements/oracles.txt
	$(COMPILE) pyproject.toml --extra fleet --group mutants --constraint requirements/dev.txt --output-file requirements/mutants.txt
	npm install --prefix oracles --package-lock-only --ignore-scripts --no-audit --no-fund --loglevel=error

prove: $(PROJECT) ## prove that faults are caught, variants not accused, hostile tenants survived (ARGS=--write: docs too)
	@$(PY) -m prove $(ARGS)

mutants: $(MUTATORS) ## change the checks in small ways, and see that it is noticed (a day; ARGS="--sample 100": an hour)
	@$(MUTANTS)/bin/python -m prove.mutants $(ARGS)

bench: $(PROJECT) $(DEV) ## measure start-up, runs and rendering (ARGS=--cpu: only the CPU of a run on a tenant elsewhere; ARGS=--page: only compliance.html; ARGS=--fleet: only fleet report)
	@$(PY) bench/bench.py $(ARGS)

fleet: $(PROJECT) $(DEV) ## judge 50 tenants, in one process and on Dask with a worker that is killed, and measure it (ARGS="--tenants 200": more)
	@$(PY) -m bench.fleet_on_dask $(ARGS)

clients: $(PROJECT) ## install the real clients, drive them, write docs/clients.md (CLIENTS="langchain,dify": some, and print only)
	@$(BIN)/gt-conformance clients run $(if $(CLIENTS),$(subst $(comma), ,$(CLIENTS)),all --write docs/clients.md) $(ARGS)

samples: $(PROJECT) ## write the sample attestations for the runbooks as they are now
	@$(PY) samples/renew.py

wheel: $(PROJECT) $(DEV) ## build dist/*.tar.gz, and from it dist/*.whl
	@rm -rf dist
	$(PY) -m build --no-isolation

pyz: wheel ## build dist/gt-conformance.pyz: one file that Python 3.11 or newer runs, with everything in it
	@$(PY) -m single_file.build

clean: ## remove what make made: .venv, .venv-*, .clients, node_modules, dist, caches (not reports/: it may hold evidence)
	rm -rf $(VENV) $(ORACLES) $(MUTANTS) .clients tests/tools/node_modules oracles/node_modules
	rm -rf build dist .coverage .coverage.* .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name .pytest_cache -prune -exec rm -rf {} + -o -name __pycache__ -prune -exec rm -rf {} +

# --- .venv -----------------------------------------------------------------------------------------------------------

# Other locks, another .venv: nothing is left over that the locks no longer hold.
$(RUNTIME): $(LOCKS)
	@found=$$($(PYTHON) -c 'import sys; print(".".join(map(str, sys.version_info[:3])))' 2>/dev/null) || \
	  { echo 'There is no Python called $(PYTHON). gt-conformance needs 3.11 or newer; name one: make PYTHON=/path/to/python $(MAKECMDGOALS)'; exit 1; }; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is Python $$found; gt-conformance needs 3.11 or newer. Name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }; \
	echo "Setting up $(VENV) with Python $$found."
	@rm -f $(PROJECT) $(DEV)
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --require-hashes --requirement requirements/runtime.txt --requirement requirements/build.txt
	@printf '%s\n' "$(CURDIR)" > $@

$(PROJECT): $(RUNTIME) pyproject.toml gt_conformance/__init__.py
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@# As pip does with what it copies, and the templates besides: compiling takes longer than a small run.
	@$(PY) -m compileall -q gt_conformance gt_loopback gt_sandbox
	@$(PY) -c 'from gt_conformance import report; report.compile_templates()'
	@touch $@

# uv first, by its own lines of the lock: it installs the rest in a tenth of the time.
$(DEV): $(RUNTIME) | $(PROJECT)
	@echo 'Adding the development tools.'
	@sed -n '/^uv==/,/[^\\]$$/p' requirements/dev.txt > $(VENV)/uv.txt
	@$(PIP) install --require-hashes --requirement $(VENV)/uv.txt
	@$(BIN)/uv pip install --quiet --no-config --python $(PY) --require-hashes --requirement requirements/dev.txt
	@touch $@

# --- the oracles' clients: installed by uv, which takes seconds where pip takes a minute -------------------------------

$(JUDGES): requirements/oracles.txt | $(DEV)
	@echo 'Setting up $(ORACLES): openai, langchain-openai, litellm.'
	@$(UV) venv --quiet --no-config --clear --python $(PY) $(ORACLES)
	@$(UV) pip install --quiet --no-config --python $(ORACLES)/bin/python --require-hashes --requirement requirements/oracles.txt
	@printf '%s\n' "$(CURDIR)" > $@

$(MUTATORS): requirements/mutants.txt | $(DEV)
	@echo 'Setting up $(MUTANTS).'
	@$(UV) venv --quiet --no-config --clear --python $(PY) $(MUTANTS)
	@$(UV) pip install --quiet --no-config --python $(MUTANTS)/bin/python --require-hashes --requirement requirements/mutants.txt
	@printf '%s\n' "$(CURDIR)" > $@

$(NODE_SDK): oracles/package.json oracles/package-lock.json
	@command -v npm >/dev/null || \
	  { echo "OpenAI's SDK for node is one of the oracles, and there is no npm. Install node with npm, and call make again."; exit 1; }
	@echo "Adding OpenAI's SDK for node."
	@npm ci --prefix oracles --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

# --- what the tests read our documents with --------------------------------------------------------------------------

$(READERS): tests/tools/package-lock.json tests/tools/package.json | $(DEV)
	@echo 'Adding the readers of our documents.'
	@PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --prefix tests/tools --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

browser:
	@for name in $(BROWSERS); do command -v $$name >/dev/null && exit 0; done; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then as=; \
	elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then as='sudo -n'; \
	else echo 'The tests open reports in Chromium, and none of these is there: $(BROWSERS).'; \
	  echo 'Install one (on Debian: apt-get install chromium), and call make again.'; exit 1; fi; \
	echo 'Installing Chromium, in which the tests open reports.'; \
	$$as apt-get update -qq && $$as env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium fonts-liberation >/dev/null

# Where it cannot be installed, the test that has it read our gauges is skipped, and says so. Its service is not wanted.
prometheus:
	@command -v prometheus >/dev/null && exit 0; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then as=; \
	elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then as='sudo -n'; \
	else echo 'There is no prometheus here: no test has it read our gauges (on Debian: apt-get install prometheus).'; exit 0; fi; \
	echo 'Installing Prometheus, which reads our gauges in the tests.'; \
	{ $$as apt-get update -qq && $$as env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qq --no-install-recommends prometheus >/dev/null; } || \
	  echo 'It could not be installed: no test has it read our gauges.'

zsh:
	@command -v zsh >/dev/null || { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends zsh >/dev/null; } || \
	  echo 'There is no zsh here: the shell lines of the documents are read by bash alone.'
