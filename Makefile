# Everything here needs Python 3.11, 3.12 or 3.13 with pip, and make; nothing else.
# The environment is made once, in .venv, from the pinned versions of constraints.txt.

PYTHON ?=
NAME ?=
BIN := .venv/bin

# One thread per worker: idle BLAS threads spin, and two workers share two cores.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export NPROC := 1
export OPENMM_CPU_THREADS := 1
export XLA_FLAGS := --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1

.PHONY: demo test test-long coverage lint docs wheel-test bench clean

demo: .venv/ready
	$(BIN)/thalweg demo

# Known answers of every method. A worker that is done takes tests over from the other. Types and shapes of every call
# are checked where the examples of docstrings run, which every public name has; elsewhere that would take a quarter of
# the time.
test: .venv/ready
	$(BIN)/python -m pytest -q -n 2 --dist=worksteal -m "not long" src
	$(BIN)/python -m pytest -q -n 2 --dist=worksteal -m "not long" --jaxtyping-packages= tests

# Statistics over many replicas, kills of running programs, large sizes, whole examples.
test-long: .venv/ready
	$(BIN)/python -m pytest -q -n 2 --dist=worksteal -m long --jaxtyping-packages=

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/ty check --output-format concise

# The quick tier with types and shapes of every call checked, and which lines of the package it does not reach.
coverage: .venv/ready
	$(BIN)/python -m pytest -q -n 2 --dist=worksteal -m "not long" --cov --cov-report=term:skip-covered

# Warnings are errors: a dead link, a name or a work that is nowhere. All pages are read anew: one that was kept warns no more.
docs: .venv/ready-docs
	$(BIN)/sphinx-build -q -E -W --keep-going -j 2 -b html docs docs/_build
	@echo "open docs/_build/index.html"

# A wheel, installed in a clean environment and used from another folder.
wheel-test: .venv/ready
	$(BIN)/python -m pytest -q tests/test_wheel.py

bench: .venv/ready
	@if [ -n "$(NAME)" ]; then $(BIN)/thalweg bench $(NAME); \
	else for name in engine features kinetics slow_variables potentials; do $(BIN)/thalweg bench $$name || exit 1; done; fi

clean:
	rm -rf .venv docs/_build demo

.venv/ready: pyproject.toml constraints.txt
	@python=""; \
	for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	  if $$candidate -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; \
	  then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "no Python 3.11, 3.12 or 3.13 with venv and pip was found (python3 is: $$(python3 --version 2>&1))." >&2; \
	  echo "Install one (Debian, Ubuntu: apt install python3 python3-venv), or name one: make PYTHON=/path/to/python3.12 ..." >&2; \
	  exit 1; \
	fi; \
	echo "making .venv with $$($$python --version) ($$(command -v $$python)); the first time takes a few minutes"; \
	$$python -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[test,compare,drug,quantum]' -c constraints.txt
	@touch $@

.venv/ready-docs: .venv/ready
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[docs]' -c constraints.txt
	@touch $@
