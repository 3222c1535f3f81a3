# `make demo` and `make test` each set everything up on a fresh clone. `make help` lists the rest.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# Real data and weights for measuring, when they lie beside the clone; tests that need them are skipped without.
ifneq ($(wildcard ../shared/data),)
export HEADSTART_DATA ?= $(abspath ../shared/data)
endif

# Each test process and each program that a test starts compiles the modules again where their bytecode is not kept.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test slow exhaustive lint check bench docs tutorials dist lock clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*##/\t/'

setup: $(READY)  ## a virtual environment with the pinned packages and this one
$(READY): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.5"
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $(READY)

demo: $(READY)  ## did transfer help on scikit-learn's digits? then a classifier from the arm that won
	$(BIN)/headstart compare digits --arms pixels,scratch,sprout --sizes 2,5,10,20 --repeats 5 --out studies/demo
	$(BIN)/headstart fit digits --backbone sprout --evaluate holdout --out runs/demo

test: $(READY)  ## the everyday tests
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist worksteal

slow: $(READY)  ## the slow tests and those on real data
	$(BIN)/python -m pytest -m "slow and not exhaustive" -n 2 --dist worksteal

exhaustive: $(READY)  ## every case of what the slow tests check a part of; before a release
	$(BIN)/python -m pytest -m exhaustive -n 2

lint: $(READY)  ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check src tests benchmarks docs
	$(BIN)/ruff format --check src tests benchmarks docs
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test  ## everything a change must pass

bench: $(READY)  ## speed beside other programs, and docs/benchmarks.md; half an hour on an idle machine
	$(BIN)/python benchmarks/bench.py $(HEADSTART_DATA)/cats_vs_dogs $(HEADSTART_DATA)/../weights/mobilenetv2_100.safetensors

docs: $(READY)  ## the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

tutorials: $(READY)  ## run the notebooks anew and keep their outputs
	$(BIN)/python docs/tutorials/_run.py

dist: $(READY)  ## a wheel and a source archive in dist/
	$(BIN)/uv build --quiet --no-build-isolation --python $(BIN)/python --out-dir dist

lock:  ## pin the newest versions that fit pyproject.toml
	$(BIN)/uv pip compile --quiet --extra dev --extra docs --no-header --no-annotate --no-emit-index-url \
	  --no-emit-find-links --universal --python-version 3.11 --output-file requirements.lock pyproject.toml

clean:  ## remove what the targets made
	rm -rf .venv runs studies rankings build dist site src/*.egg-info
