# Each target sets up what it needs: a virtual environment in .venv, made once and brought up to
# date when the project's dependencies change. Choose another interpreter by `make PYTHON=python3.12`.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
# Add `frameworks` for those that tests/frameworks tries; CI does that.
TEST_EXTRAS ?= test
# What takes long is marked `slow`: `make test` leaves it to `make test-all`.
PYTEST_ARGS ?= -n 3 --dist worksteal -m "not slow"
SLOW_PYTEST_ARGS ?= -n 2 --dist worksteal -m slow
# These tests run again without the compiled module: a few in `make test`, all of them in `make test-all`.
PURE_PYTEST_ARGS ?= tests/test_contract.py tests/test_scalars.py
ALL_PURE_PYTEST_ARGS ?= -n 2 --dist worksteal tests/test_contract.py tests/test_native.py tests/test_scalars.py \
  tests/test_writer.py tests/test_framing.py tests/test_checksums.py tests/test_summaries_histogram.py \
  tests/test_compiler.py tests/faults
LOGDIR ?= runs
PORT ?= 6006

.DEFAULT_GOAL := help
.PHONY: help demo view test test-all docs bench clean

help:
	@echo 'make demo   train a small network on handwritten digits and log it (DEMO_ARGS="--epochs 5")'
	@echo 'make view   open TensorBoard on it (LOGDIR=$(LOGDIR) PORT=$(PORT))'
	@echo 'make test   ruff, mypy, the plan of imports and the tests (PYTEST_ARGS="-k packaging")'
	@echo 'make test-all  these, the tests marked slow, and the second pass without the compiled module'
	@echo 'make docs   the documentation as a site, in docs/_build; broken links are errors'
	@echo 'make bench  compare the cost of logging with torch and tensorboardX (BENCH_ARGS="--quick")'
	@echo 'make clean  remove what the others made, the runs excepted'

demo: $(VENV)/.has-demo
	$(PY) examples/demo.py $(DEMO_ARGS)

view: $(VENV)/.has-demo
	$(VENV)/bin/tensorboard --logdir $(LOGDIR) --port $(PORT)

test: $(VENV)/.has-$(TEST_EXTRAS)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PY) -m pytest $(PYTEST_ARGS)
	TBLOG_PURE=1 $(PY) -m pytest $(PURE_PYTEST_ARGS)
	@echo 'left to make test-all: the tests marked slow, and most of the pass without the compiled module'

test-all: test
	$(PY) -m pytest $(SLOW_PYTEST_ARGS)
	TBLOG_PURE=1 $(PY) -m pytest $(ALL_PURE_PYTEST_ARGS)

docs: $(VENV)/.has-docs
	$(PY) -m sphinx -b html -W --keep-going -q docs docs/_build
	@echo "the site is in docs/_build/index.html"

bench: $(VENV)/.has-bench
	$(PY) -m benchmarks $(BENCH_ARGS)

clean:
	rm -rf $(VENV) build dist docs/_build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# A stamp, such as .has-demo, says which extras the environment has.
$(VENV)/.has-%: setup.cfg pyproject.toml | $(PY)
	$(PY) -m pip install --editable '.[$*]'
	@touch $@

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "tblog needs Python 3.11 or later; give one by: make PYTHON=/path/to/python3.x" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); \
	  echo "no virtual environment could be made; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PY) -m pip install --upgrade pip
