# `make demo` and `make test` are the only set-up commands: each makes the environment in .venv if it is missing or out of date.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
CODE := qspec solvers models tests docs/_site
# One more than the two cores that are asked for: many tests wait for processes.
WORKERS ?= 3
# An idle worker takes tests that wait for another, so that no long file is left for one core at the end.
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
TYPES := $(BIN)/pyright --pythonpath $(BIN)/python

# Tests start many interpreters. Each would compile qspec anew (0.15 s) where bytecode is not kept.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: soak fresh demo test test-latest check-verified lint style format docs lock clean
.DEFAULT_GOAL := test

demo: $(VENV)/.runtime
	$(BIN)/qspec demo

# Types are checked beside the tests, which leave a core idle now and then; what is wrong with them is shown after the tests.
test: style
	@mkdir -p build; $(TYPES) > build/types.txt 2>&1 & types=$$!; trap 'kill $$types 2> /dev/null' EXIT; \
	echo "$(PYTEST)"; $(PYTEST); tests=$$?; \
	wait $$types; types_status=$$?; cat build/types.txt; \
	[ $$tests = 0 ] || echo "make test: tests failed, above"; [ $$types_status = 0 ] || echo "make test: pyright failed, above"; \
	exit $$((tests || types_status))

# What solvers and libraries changed since the lock was made: the newest versions that pyproject.toml allows, in an environment of their own.
# Run it now and then, not for each change; `rm -rf .venv-latest` before, to look for newer ones.
LATEST := .venv-latest
LATEST_TESTS := tests/contract tests/unit/test_solvers.py tests/unit/test_noisy_solvers.py tests/unit/test_exact_branching.py \
	tests/unit/test_milp.py tests/unit/test_evaluate_jax.py tests/docs
test-latest: $(LATEST)/.installed
	$(LATEST)/bin/python -m pip --disable-pip-version-check list
	$(LATEST)/bin/python -m pytest -n $(WORKERS) $(LATEST_TESTS)

$(LATEST)/.installed: pyproject.toml
	test -x $(LATEST)/bin/pip || $(PYTHON) -m venv $(LATEST)
	$(LATEST)/bin/python -m pip --disable-pip-version-check --no-input install --quiet --upgrade pip
	$(LATEST)/bin/python -m pip --disable-pip-version-check --no-input install --quiet --upgrade --upgrade-strategy eager \
		-e '.[highs,yices,onnx,keras,plot,report,train]' --group dev
	@touch $@

# The certificate checker whose soundness ACL2 proves: proves it, unless this version of the book has been, and checks certificates with it.
PROVER := acl2 acl2-books-source acl2-books-certs
check-verified: $(VENV)/.dev
	@command -v acl2 > /dev/null || { apt-get update -qq && apt-get install -y -qq $(PROVER) > /dev/null; } \
	  || { echo "the verified checker needs ACL2: apt-get install -y $(PROVER)" >&2; exit 1; }
	$(BIN)/python -m pytest -n 0 tests/soundness/verified_checker.py

# Fresh random cases over language, routes and readers; what is wrong is printed with the seed that makes it again.
MINUTES ?= 30
soak: $(VENV)/.dev
	$(BIN)/python -m tests.soak --minutes $(MINUTES)

# Every Hypothesis test on examples that were not drawn before; what fails is printed with the line that draws it again.
fresh: $(VENV)/.dev
	$(PYTEST) -m hypothesis --hypothesis-profile fresh

lint: style
	$(TYPES)

style: $(VENV)/.dev
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.dev
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

# The variable silences an announcement about a successor of mkdocs, and nothing else.
docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo build/site/index.html

# The development environment contains the runtime one, version by version, so that installing both ends in the same place.
$(VENV)/.runtime: requirements.lock pyproject.toml
	$(call install,requirements.lock)

$(VENV)/.dev: requirements-dev.lock pyproject.toml
	$(call install,requirements-dev.lock)
	@touch $(VENV)/.runtime

define install
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "qspec needs Python 3.11 or later; try: make PYTHON=python3.12")'
	@echo "Installing from $(1) into $(VENV), which takes a minute or more."
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --no-compile --require-hashes -r $(1)
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib > /dev/null 2>&1 || true  # on all cores, where pip takes one; some packages ship files of other Pythons
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@
endef

# Made again by hand when a dependency changes; uv is needed for this and nothing else.
LOCK := uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
lock:
	$(LOCK) --group dev -o requirements-dev.lock
	$(LOCK) --group build -c requirements-dev.lock -o requirements.lock

clean:
	rm -rf $(VENV) $(LATEST) .hypothesis .pytest_cache .ruff_cache build dist
