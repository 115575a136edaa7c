# make run     a fresh machine needs git, make and Python >= 3.11: installs into .venv, analyses real data into out/
# make test    installs what the tests need and runs them (without those marked slow)
# make study   every table and figure of the composite-mediator paper at reduced counts, into out/studies/
# make check   lint, format, types
# make docs    the documentation site, into out/site (open out/site/index.html)
# make dist    wheel and source archive, into dist/, checked
# VENV=        (empty) uses the interpreter at hand and installs nothing; PY=... names another one
VENV ?= .venv
OUT ?= out
ARGS ?=

.PHONY: help run study test test-slow check format bench docs dist clean
.NOTPARALLEL:

help:
	@sed -n '1,/^VENV/p' Makefile | sed -n 's/^# //p'

# The first interpreter that runs, is new enough and (where a venv is to be made) can make one:
# a name on the PATH may be a shim without an interpreter, or a Python without ensurepip.
ifndef PY
PY := $(shell for c in python3 python3.13 python3.12 python3.11 python; do \
	if $$c -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { test -z "$(VENV)" || $$c -c 'import ensurepip, venv' >/dev/null 2>&1; }; \
	then command -v $$c; break; fi; done)
endif

ifeq ($(strip $(VENV)),)
PYTHON := $(PY)
RUN_READY :=
TEST_READY :=
DEV_READY :=
DOCS_READY :=
RELEASE_READY :=
else
PYTHON := $(VENV)/bin/python
RUN_READY := $(VENV)/.ready-run
TEST_READY := $(VENV)/.ready-test
DEV_READY := $(VENV)/.ready-dev
DOCS_READY := $(VENV)/.ready-docs
RELEASE_READY := $(VENV)/.ready-release
endif

# $(VENV)/.installing stands while an install runs. Found at the start, the last one was interrupted
# and the environment is made anew; the stamp is touched last.
$(VENV)/.ready-%: pyproject.toml constraints.txt
	@test -n "$(PY)" || { echo "Python >= 3.11 with venv is needed: make $(MAKECMDGOALS) PY=/path/to/python3"; exit 1; }
	@if [ -e $(VENV)/.installing ]; then echo "an install was interrupted: making $(VENV) anew"; rm -rf $(VENV); fi
	@mkdir -p $(VENV) && touch $(VENV)/.installing
	@echo "installing jaxmed[$*] into $(VENV)"
	@$(VENV)/bin/python -m pip --version >/dev/null 2>&1 || $(PY) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --disable-pip-version-check -q -c constraints.txt -e ".[$*]"
	@rm $(VENV)/.installing
	@touch $@

run: $(RUN_READY)
	$(PYTHON) -m jaxmed demo --out $(OUT) $(ARGS)

# SCALE=1 is the full number of replicates; docs/studies.md says how long that takes.
SCALE ?= 0.05
study: $(RUN_READY)
	$(PYTHON) -m jaxmed study all --out $(OUT)/studies --scale $(SCALE) $(ARGS)

# A folder stays on one worker (tests/conftest.py), so that its programs are compiled once.
# Two workers at most (each is a whole JAX), and a hard timeout: a hang in compiled code hears no
# exception, so the thread method ends the process. Where the plugins are missing, one process.
PLUGINS := import sys, importlib.util as u; have = lambda name: u.find_spec(name) is not None; \
	print("-n 2 --dist loadscope --no-loadscope-reorder" if have("xdist") else "", \
	f"--timeout={sys.argv[1]} --timeout-method=thread" if have("pytest_timeout") else "")

test: $(TEST_READY)
	@flags=$$($(PYTHON) -c '$(PLUGINS)' 120) && \
	$(PYTHON) -m pytest -q $$flags --durations=20 -m "not slow" $(ARGS)

# Long evidence, compiled as a user's programs are; then what has float32 tolerances, in float32.
test-slow: $(TEST_READY)
	@flags=$$($(PYTHON) -c '$(PLUGINS)' 1800) && \
	JAX_DISABLE_MOST_OPTIMIZATIONS=0 $(PYTHON) -m pytest -q $$flags -m slow $(ARGS) && \
	JAX_ENABLE_X64=0 $(PYTHON) -m pytest -q $$flags -m float32 $(ARGS)

check: $(DEV_READY)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m pyright --pythonpath $(PYTHON)

format: $(DEV_READY)
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

bench: $(TEST_READY)
	$(PYTHON) -m benchmarks $(ARGS)

# Nothing is fetched while it is built, and no page of it fetches anything when it is opened.
docs: $(DOCS_READY)
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict --quiet
	$(PYTHON) docs/site_check.py out/site

dist: $(RELEASE_READY)
	rm -rf dist
	$(PYTHON) -m build
	$(PYTHON) -m twine check --strict dist/*

clean:
	rm -rf .venv $(OUT) build dist .pytest_cache .ruff_cache .hypothesis .cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
