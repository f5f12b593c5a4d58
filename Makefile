# The two commands are `make demo` and `make test`; each does all set-up by itself, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --disable-pip-version-check --constraint pins.txt
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint clean check-tools

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed  ## create .venv with the pinned packages

demo: setup  ## compile, simulate and synthesize an example network, and show the figures
	$(BIN)/python -m examples.demo

test: setup  ## run the tests (a few minutes)
	$(PYTEST)

test-all: setup  ## run the tests, the slow ones too
	$(PYTEST) -m ""

lint: $(VENV)/.installed-lint  ## ruff, formatting and type check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

clean:  ## remove .venv and everything that was built
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis

check-tools:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || \
	  { echo "codesign needs Python 3.10 or newer as $(PYTHON) (Debian: apt install python3 python3-venv; or make PYTHON=...)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "codesign needs Python's venv module (Debian: apt install python3-venv)" >&2; exit 1; }
	@command -v g++ >/dev/null || \
	  { echo "codesign needs a C++ compiler, g++ (Debian: apt install g++; Fedora: dnf install gcc-c++; macOS: xcode-select --install)" >&2; exit 1; }

# setuptools goes first and pinned, so that building this project fetches nothing of its own. A package that
# appears beside the others (*/__init__.py) becomes visible to the `codesign` command by installing again.
$(VENV)/.installed: pyproject.toml pins.txt $(wildcard */__init__.py) | check-tools
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) setuptools wheel
	$(PIP_INSTALL) --no-build-isolation --editable '.[test]'
	touch $@

$(VENV)/.installed-lint: $(VENV)/.installed
	$(PIP_INSTALL) --no-build-isolation --editable '.[test,lint]'
	touch $@
