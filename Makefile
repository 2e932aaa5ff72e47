# Everything sets itself up: the first run on a fresh machine takes a minute, later ones do not.
PYTHON ?= python3
PY := .venv/bin/python
SHELL := /bin/bash
.DEFAULT_GOAL := help
export PYTHONPATH := $(CURDIR)
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help env demo demo-bundle test check format bench crash fuzz docs lock clean

help:  ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

env:  ## Create or update the environment in .venv
	@$(PYTHON) requirements/install.py dev >/dev/null

demo: env  ## See tenants appear on a real OpenStack, drift, be repaired and go
	@$(PY) -m tests.demo

demo-bundle: env  ## See a real release cross the gap, be tampered with and refused, and a delta follow it
	@$(PY) -m tests.demo_bundle

test: env check  ## Prove it: checks, then all tests but the long ones
	@$(PY) -m pytest -n 2 --dist loadfile -m "not long"

check: env  ## Format, lint, types, import contracts, generated files
	@.venv/bin/ruff format --check --quiet . || (echo "run: make format"; exit 1)
	@.venv/bin/ruff check --quiet .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache | tail -n 3
	@$(PY) -m controlplane.tenants.schema --check
	@$(PY) -m airgap_bundle.recipe --check
	@$(PY) -m docs.generate --check

format: env  ## Rewrite files in the project's format
	@.venv/bin/ruff check --quiet --fix-only . ; .venv/bin/ruff format --quiet .

bench: env  ## Measure time, memory and requests, as ratios side by side
	@$(PY) -m tests.bench

crash: env  ## All 200 kills and all faults, with their counts
	@$(PY) -m pytest tests/crashes -n 0 -m long -s

fuzz: env  ## The property tests, for longer
	@HYPOTHESIS_PROFILE=fuzz $(PY) -m pytest tests/properties tests/bundle

docs: env  ## Write the generated reference pages
	@$(PY) -m controlplane.tenants.schema
	@$(PY) -m airgap_bundle.recipe
	@$(PY) -m docs.generate

lock: env  ## Lock the requirements again (names, versions and hashes; no index addresses)
	@for name in bootstrap runtime dev lab peers; do \
	  $(PY) -m uv pip compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
	    --no-annotate --python-version 3.11 $(UPGRADE) requirements/$$name.in -o requirements/$$name.txt || exit 1; done

clean:  ## Remove the environment and the lab's state
	@rm -rf .venv .lab .mypy_cache .ruff_cache .pytest_cache .hypothesis
