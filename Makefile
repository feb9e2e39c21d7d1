# Everything a newcomer types. Needs Python 3.11 or newer and make; all else is installed into .venv.

VENV := .venv
BIN := $(VENV)/bin
FITS := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c '$(FITS)' 2>/dev/null && echo $$p && break; done)
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test bench compiled compiledtest lint format lock clean

help:  ## what there is to type
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

demo: $(VENV)/.ready  ## play the bundled purchases through the whole service; options in ARGS="--once"
	@$(BIN)/loyalty demo $(ARGS)

test: $(VENV)/.ready-dev  ## every test; options for pytest in ARGS
	@$(BIN)/pytest --numprocesses=auto --dist=worksteal $(ARGS)

compiled: build/compiled/.ready  ## the same code in build/compiled, its hot path compiled (needs a C compiler)

build/compiled/.ready: setup.py $(shell find services migrations contracts -type f -not -name '*.pyc') | $(VENV)/.ready-dev
	@echo "Compiling the hot path, which takes some minutes"
	@rm -rf build/compiled && mkdir -p build/compiled
	@cp -R services migrations contracts build/compiled/
	@LOYALTY_COMPILE=1 MYPY_CACHE_DIR=build/mypy $(BIN)/python setup.py --quiet build_ext --build-lib build/compiled > build/compiled.log 2>&1 \
		|| { tail -n 5 build/compiled.log >&2; exit 1; }
	@touch $@

# Tests are imported as modules, or pytest would put the code as it is written before the compiled.
compiledtest: compiled  ## the tests of the hot path, on its compiled code
	@cd build/compiled && PYTHONPATH=$(CURDIR)/build/compiled:$(CURDIR) $(CURDIR)/$(BIN)/python -m pytest \
		-c $(CURDIR)/pyproject.toml --rootdir=$(CURDIR) --import-mode=importlib -m "not as_written" \
		--numprocesses=auto --dist=worksteal $(ARGS) \
		$(addprefix $(CURDIR)/tests/loyalty/,domain application test_attempts.py test_batches.py)

bench: compiled  ## events per second against floors, on a broker and a server of its own; options in ARGS
	@cd build/compiled && PYTHONPATH=$(CURDIR)/build/compiled:$(CURDIR) \
		$(CURDIR)/$(BIN)/python -m tests.parts loyalty bench $(ARGS)

lint: $(VENV)/.ready-dev  ## style, types and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.ready-dev  ## put the code into its form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# pip freeze of an environment that holds nothing else; the second file adds what only development needs.
lock: | python-is-there  ## pin the newest versions that pyproject.toml allows
	@.ci/lock "$(PYTHON)"

clean:  ## remove what was installed or generated
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

$(VENV)/bin/python: | python-is-there
	@echo "Creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: requirements.lock | $(VENV)/bin/python
	@echo "Installing $$(grep -c == requirements.lock) pinned packages into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.ready-dev: requirements-dev.lock $(VENV)/.ready
	@echo "Installing $$(grep -c == requirements-dev.lock) more for development"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-dev.lock
	@touch $@

.PHONY: python-is-there
python-is-there:
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(FITS)' 2>/dev/null || { \
		echo "Python 3.11 or newer with its venv module is needed$(if $(PYTHON),; $(PYTHON) is not that)." \
		"Name one: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
