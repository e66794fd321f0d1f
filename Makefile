# Every target works from a fresh clone: what it needs is installed into .venv first.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "%-16s %s\n", $$1, $$2 }'

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
	$(BIN)/python -m pytest --numprocesses auto

.venv/browser: requirements/browser.txt | .venv/dev
	command -v chromium >/dev/null || (apt-get update -qq && apt-get install --yes -qq chromium)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/browser.txt
	@touch $@

tests/browser/node_modules: tests/browser/package-lock.json
	command -v npm >/dev/null || (apt-get update -qq && apt-get install --yes -qq npm)
	npm ci --silent --prefix tests/browser
	@touch $@

.PHONY: test-browser
test-browser: .venv/browser tests/browser/node_modules ## run the tests of the pages in Chromium
	npm run --silent --prefix tests/browser check
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 tests/browser

.venv-docs/done: requirements/docs.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/docs.txt
	@touch $@

.PHONY: docs
docs: .venv-docs/done ## build the documentation as a web site in build/docs
	.venv-docs/bin/sphinx-build --quiet --nitpicky --fail-on-warning --keep-going --fresh-env --conf-dir docs . build/docs

.venv-ray/ray: requirements/ray.txt
	$(PYTHON) -m venv .venv-ray
	.venv-ray/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/ray.txt
	@touch $@

.PHONY: test-ray
test-ray: .venv-ray/ray ## run the Ray tests on two nodes of this machine, in .venv-ray
	.venv-ray/bin/python -m pytest tests/ray

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
check: .venv/dev docs ## format, lint, types, imports, contract, tests, documentation
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --numprocesses auto --cov --cov-report=term-missing:skip-covered

.PHONY: check-more
check-more: check-contract test-browser test-production test-kubernetes test-nginx test-image test-ray ## all that CI checks and that takes more than Python

.PHONY: environments
environments: .venv-clients/bin/openapi-python-client tests/clients/node_modules/.package-lock.json tests/browser/node_modules .venv-deploy/done .venv-ray/ray ## install what check-more needs outside of .venv

.PHONY: format
format: .venv/dev ## put the code in order
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

.PHONY: openapi
openapi: .venv/dev ## write openapi/openapi.json anew
	$(BIN)/python -m tests.contract.document

.PHONY: alerts
alerts: ## check the alert rules with Prometheus's own tool
	command -v promtool > /dev/null || { apt-get update -qq && apt-get install -qq --no-install-recommends prometheus; }
	promtool check rules deploy/prometheus/alerts.yaml

.PHONY: released
released: .venv/dev ## keep openapi.json as that of the last release, which later ones may not break
	$(BIN)/python -m tests.contract.document --release

.venv-clients/bin/openapi-python-client: requirements/clients.txt
	$(PYTHON) -m venv .venv-clients
	.venv-clients/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/clients.txt
	@touch $@

tests/clients/node_modules/.package-lock.json: tests/clients/package-lock.json
	command -v npm > /dev/null || { apt-get update --quiet && apt-get install --quiet --yes nodejs npm; }
	cd tests/clients && npm ci
	@touch $@

.PHONY: check-contract
check-contract: .venv/dev .venv-clients/bin/openapi-python-client tests/clients/node_modules/.package-lock.json ## lint openapi.json, and ask the service through clients made of it; needs Node
	tests/clients/node_modules/.bin/spectral lint openapi/openapi.json --fail-severity hint
	REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true tests/clients/node_modules/.bin/redocly lint openapi/openapi.json
	$(BIN)/python -m pytest tests/clients

.PHONY: bench
bench: .venv/dev ## measure this service and its peers, about 20 minutes
	$(BIN)/python -m bench
	$(BIN)/python -m bench.report

.venv-deploy/done: requirements/deploy.txt
	$(PYTHON) -m venv .venv-deploy
	.venv-deploy/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/deploy.txt
	@touch $@

# a command that is given a folder, a tag and the arguments of a build
IMAGE_BUILDER ?= deploy/container/build.sh
IMAGE ?= localhost/softmax-service:latest

.PHONY: image
image: .venv-deploy/done ## build the container image, a list of what is in it beside it
	$(IMAGE_BUILDER) . $(IMAGE) --build-arg VERSION=$(VERSION) --build-arg REVISION=$(shell git describe --always --dirty --abbrev=40)
	mkdir -p build
	.venv-deploy/bin/python -m deploy.container.locked | .venv-deploy/bin/cyclonedx-py requirements - \
		--pyproject pyproject.toml --mc-type application --output-reproducible --output-file build/image.cdx.json
VERSION = $(shell sed -n 's/__version__ = "\(.*\)"/\1/p' service/__init__.py)

.PHONY: test-image
test-image: ## lint the Dockerfile, build, run and measure the image
	@docker info > /dev/null 2>&1 || command -v podman > /dev/null || (apt-get update -q && apt-get install -q -y podman)
	$(MAKE) image
	IMAGE=$(IMAGE) .venv-deploy/bin/python -m pytest tests/container

.PHONY: test-kubernetes
test-kubernetes: .venv-deploy/done ## render the manifests and validate them
	@command -v kubectl > /dev/null || test -x .venv-deploy/bin/kubectl || sh tests/kubernetes/kubectl.sh .venv-deploy/bin
	.venv-deploy/bin/python -m pytest tests/kubernetes

.PHONY: test-nginx
test-nginx: .venv-deploy/done ## restart both replicas behind nginx under load
	@command -v nginx > /dev/null || (apt-get update -q && RUNLEVEL=1 apt-get install -q -y --no-install-recommends nginx-light)
	.venv-deploy/bin/python -m pytest tests/nginx

.PHONY: lock
lock: .venv/run ## pin the dependencies anew, with hashes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile pyproject.toml $(LOCK) -o requirements/run.txt
	$(BIN)/uv pip compile pyproject.toml --extra dev $(LOCK) -o requirements/dev.txt
	$(BIN)/uv pip compile pyproject.toml --extra deploy -c requirements/run.txt $(LOCK) -o requirements/deploy.txt
	$(BIN)/uv pip compile --group browser -c requirements/dev.txt $(LOCK) -o requirements/browser.txt
	$(BIN)/uv pip compile pyproject.toml --extra ray --group ray-tests -c requirements/dev.txt $(LOCK) -o requirements/ray.txt
	$(BIN)/uv pip compile requirements/clients.in $(LOCK) -o requirements/clients.txt
	$(BIN)/uv pip compile --group docs $(LOCK) -o requirements/docs.txt
	$(BIN)/uv pip compile --group checks -c requirements/dev.txt $(LOCK) -o requirements/checks.txt
LOCK := --universal --no-strip-extras --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet
