# `make demo` and `make test` set up everything they need in $(VENV), once, on any machine with Python 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST_FLAGS ?=
unexport PYTHONDONTWRITEBYTECODE  # else every worker rewrites every test's assertions anew

VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
# 3.11 has its own pinned versions, 3.12 and 3.13 share the newest; a Python newer than these is resolved freely.
PINS_3.11 := constraints/python3.11.txt
PINS_3.12 := constraints/python3.13.txt
PINS_3.13 := constraints/python3.13.txt
PINS := $(PINS_$(VERSION))
CONSTRAIN := $(if $(PINS),--constraint $(PINS))

.PHONY: help demo test test-all check format clean demo-env test-env dev-env
help:
	@echo 'make demo      explain why the training script examples/wine/train.py fails'
	@echo 'make test      linters, type checker, layers, and the tests that are not marked slow'
	@echo 'make test-all  all tests, the slow ones too'
	@echo 'make check     linters, type checker and layers only'
	@echo 'make format    let ruff rewrite what it can'
	@echo 'make clean     remove the environment and every cache'

# An environment is made anew when it was made by another version of Python.
BASE := $(VENV)/.made-by-python$(VERSION)
$(BASE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "qed needs Python 3.11 or newer, and '$(PYTHON)' is not; say for example: make PYTHON=python3.12 demo" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# A stamp for each set of extras; stale when the project's dependencies or the pinned versions change.
$(VENV)/.has-%: $(BASE) pyproject.toml $(PINS)
	@echo 'setting up $(VENV) with the extra "$*" (once; a few minutes)'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(CONSTRAIN) --editable '.[$*]'
	@touch $@

demo-env: $(VENV)/.has-sklearn
test-env: $(VENV)/.has-test
dev-env: $(VENV)/.has-dev

# qed's exit code 1 says that something was found, and here something is; only 2, "could not run", is a failure.
demo: demo-env
	@echo '$$ qed why examples/wine/train.py:loss --at w --names names --step sgd:0.1'
	@$(BIN)/qed why examples/wine/train.py:loss --at w --names names --step sgd:0.1; code=$$?; test $$code -le 1 || exit $$code

check: dev-env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

test: check
	$(BIN)/python -m pytest -m 'not slow' -n 2 --dist worksteal $(PYTEST_FLAGS)

test-all: check
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_FLAGS)

format: dev-env
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache .hypothesis
