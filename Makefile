# Every target works from a fresh clone: what it needs is installed into .venv first.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "%-15s %s\n", $$1, $$2 }'

.venv/run: requirements/run.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@touch $@

.venv/dev: requirements/dev.txt | .venv/run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

.PHONY: install
install: .venv/dev ## install everything into .venv

.PHONY: run
run: .venv/run ## serve on http://127.0.0.1:8000
	$(BIN)/python -m service

.PHONY: test
test: .venv/dev ## run the tests
	$(BIN)/python -m pytest

.venv/checks: requirements/checks.txt | .venv/dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/checks.txt
	@touch $@

.PHONY: test-production
test-production: .venv/checks ## run the tests with real processes: load, signals, slow and lying clients, about 3 minutes
	$(BIN)/python -m pytest tests/production

.PHONY: soak
soak: .venv/dev ## watch memory and descriptors under mixed traffic, 5 minutes
	$(BIN)/python -m bench.soak

.PHONY: check
check: .venv/dev ## all that CI checks: format, lint, types, imports, contract, tests
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --cov --cov-report=term-missing:skip-covered

.PHONY: format
format: .venv/dev ## put the code in order
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

.PHONY: openapi
openapi: .venv/dev ## write openapi/openapi.json anew
	$(BIN)/python -m tests.contract.document

.PHONY: bench
bench: .venv/dev ## measure this service and its peers, about 20 minutes
	$(BIN)/python -m bench
	$(BIN)/python -m bench.report

.PHONY: lock
lock: .venv/dev ## pin the dependencies anew, with hashes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile pyproject.toml $(LOCK) -o requirements/run.txt
	$(BIN)/uv pip compile pyproject.toml --extra dev $(LOCK) -o requirements/dev.txt
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra checks $(LOCK) -o requirements/checks.txt
LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet
