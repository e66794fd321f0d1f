# Every target works in a fresh clone: it first installs the Python and Node packages that it needs.
# Programs of the system are never installed: a target names the program that is missing.
PYTHON ?= python3
BIN := .venv/bin
# compiled modules are kept: the tests start the service more than 100 times
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

# $(call stop,MESSAGE): end with a message
stop = { echo "make: $(1)" >&2; exit 1; }
# $(call venv,FOLDER): create a virtual environment unless it is there
venv = test -x $(1)/bin/python || { \
	test -w . || $(call stop,this folder is not writable; clone the repository into a folder of yours); \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || \
		$(call stop,$(PYTHON) is not Python 3.11 or newer; name one that is: make $(MAKECMDGOALS) PYTHON=python3.13); \
	$(PYTHON) -m venv $(1) || { rm -rf $(1); \
		$(call stop,$(PYTHON) has no venv module; install it (Debian: apt install python3-venv)); }; }
# $(call pip,FOLDER): install from a lock file, hashes checked
pip = $(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes
# $(call accelerators,FOLDER): install each optional JSON codec that has a wheel for this machine, and say which are active
accelerators = for name in pysimdjson ssrjson; do \
	awk "/^[^ ]/ { wanted = /^$$name==/ } wanted" requirements/fast.txt | $(call pip,$(1)) --only-binary :all: -r /dev/stdin 2> /dev/null || true; done; \
	$(1)/bin/python -c 'from service.formats.codecs import active; print(f"JSON reader: {active.reader_name}, JSON writer: {active.writer_name}")'
# $(call need,PROGRAM OR FILE,DEBIAN PACKAGE): stop unless a program is installed, or a file is there
need = command -v $(1) > /dev/null || test -e $(1) || $(call stop,$(1) is not installed (Debian: apt install $(2)))

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "%-16s %s\n", $$1, $$2 }'

# --- run and test -----------------------------------------------------------------------------------------------------

.venv/run: requirements/run.txt requirements/fast.txt
	@$(call venv,.venv)
	$(call pip,.venv) -r requirements/run.txt
	@$(call accelerators,.venv)
	@touch $@

.venv/dev: requirements/dev.txt | .venv/run
	$(call pip,.venv) -r requirements/dev.txt
	@touch $@

.PHONY: install
install: .venv/dev ## install everything into .venv

.PHONY: run
run: .venv/run ## serve on http://127.0.0.1:8000
	$(BIN)/python -m service

.PHONY: test
test: .venv/dev ## run the tests
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

.PHONY: test-thorough
test-thorough: .venv/dev ## run the property tests with five times as many examples
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal --hypothesis-profile thorough -m hypothesis

# All tests that start the application or read JSON. The tests of compute, deploy, schemas and settings use no codec, nor
# do the tests of operations, except these two files. The tests of formats always run with each codec.
PORTABLE := api contract docs integration server operations/test_complaints.py operations/test_costs.py

.PHONY: test-portable
test-portable: .venv/dev ## run the tests of everything that reads or writes JSON, without the accelerators
	SOFTMAX_JSON_CODEC=portable $(BIN)/python -m pytest --numprocesses auto --dist worksteal $(addprefix tests/,$(PORTABLE))

.PHONY: fuzz
fuzz: .venv/dev ## test 20,000 streams of requests, cut at random, on each event loop
	$(BIN)/python -m tests.server.streams 20000

.PHONY: check
check: .venv/dev docs ## check format, lint, types, imports and documentation, and run the tests with coverage
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal --cov --cov-report=term-missing:skip-covered

.PHONY: format
format: .venv/dev ## format the code and fix what the linter can fix
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# --- the documentation ------------------------------------------------------------------------------------------------

.venv-docs/done: requirements/docs.txt
	@$(call venv,.venv-docs)
	$(call pip,.venv-docs) -r requirements/docs.txt
	@touch $@

.PHONY: docs
docs: .venv-docs/done ## build the documentation as a web site in build/docs
	.venv-docs/bin/sphinx-build --quiet --nitpicky --fail-on-warning --keep-going --fresh-env --conf-dir docs . build/docs

# --- the OpenAPI document ---------------------------------------------------------------------------------------------

.PHONY: openapi
openapi: .venv/dev ## write the OpenAPI documents
	$(BIN)/python -m tests.contract.document

.venv-clients/bin/openapi-python-client: requirements/clients.txt
	@$(call venv,.venv-clients)
	$(call pip,.venv-clients) -r requirements/clients.txt
	@touch $@

.venv-kserve/done: requirements/kserve.txt
	@$(call venv,.venv-kserve)
	$(call pip,.venv-kserve) -r requirements/kserve.txt
	@touch $@

tests/clients/node_modules/.package-lock.json: tests/clients/package-lock.json
	@$(call need,npm,npm)
	npm ci --silent --prefix tests/clients
	@touch $@

.PHONY: check-contract
check-contract: .venv/dev .venv-clients/bin/openapi-python-client .venv-kserve/done tests/clients/node_modules/.package-lock.json ## lint the OpenAPI document and test generated clients; needs Node, a JDK and Go
	@$(call need,javac,default-jdk-headless)
	@$(call need,/usr/share/java/gson.jar,libgoogle-gson-java)
	@$(call need,/usr/share/java/jsr305.jar,libjsr305-java)
	@$(call need,/usr/share/java/geronimo-annotation-1.3-spec.jar,libgeronimo-annotation-1.3-spec-java)
	@$(call need,go,golang-go)
	tests/clients/node_modules/.bin/spectral lint openapi/openapi.json openapi/typed.json --fail-severity hint
	REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true tests/clients/node_modules/.bin/redocly lint openapi/openapi.json openapi/typed.json
	$(BIN)/python -m pytest --numprocesses auto tests/clients

# --- more tests: each needs a program beside Python -------------------------------------------------------------------

.PHONY: check-more
check-more: check-contract test-portable test-thorough test-browser test-production test-kubernetes test-nginx test-image test-ray $(if $(FRESH),test-fresh) ## run every check of CI that needs more than Python

.PHONY: environments
environments: .venv-clients/bin/openapi-python-client .venv-kserve/done tests/clients/node_modules/.package-lock.json tests/browser/node_modules .venv-deploy/done .venv-ray/ray ## install the packages of check-more

.venv/browser: requirements/browser.txt | .venv/dev
	@$(call need,chromium-headless-shell,chromium-headless-shell)
	$(call pip,.venv) -r requirements/browser.txt
	@touch $@

tests/browser/node_modules: tests/browser/package-lock.json
	@$(call need,npm,npm)
	npm ci --silent --prefix tests/browser
	@touch $@

.PHONY: test-browser
test-browser: .venv/browser tests/browser/node_modules ## test the pages in Chromium
	npm run --silent --prefix tests/browser check
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 tests/browser

.venv/checks: requirements/checks.txt | .venv/dev
	$(call pip,.venv) -r requirements/checks.txt
	@touch $@

.PHONY: test-production
test-production: .venv/checks ## test real processes under load, signals and hostile clients, about 5 minutes
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m side_by_side tests/production
	$(BIN)/python -m pytest -m "not side_by_side" tests/production

.venv-ray/ray: requirements/ray.txt
	@$(call venv,.venv-ray)
	$(call pip,.venv-ray) -r requirements/ray.txt
	@touch $@

.PHONY: test-ray
test-ray: .venv-ray/ray ## test the batch command, and Ray on two nodes of this machine, in .venv-ray
	.venv-ray/bin/python -m pytest tests/batch tests/ray

.venv-deploy/done: requirements/deploy.txt
	@$(call venv,.venv-deploy)
	$(call pip,.venv-deploy) -r requirements/deploy.txt
	@touch $@

.PHONY: test-kubernetes
test-kubernetes: .venv-deploy/done ## render and validate the manifests; needs kubectl
	@test -x .venv-deploy/bin/kubectl || { $(call need,kubectl,kubectl); }
	.venv-deploy/bin/python -m pytest tests/kubernetes

.PHONY: test-nginx
test-nginx: .venv/dev ## test nginx in front of two replicas, and restart them under load
	@$(call need,nginx,nginx-light)
	$(BIN)/python -m pytest tests/nginx

.PHONY: alerts
alerts: ## check the alert rules with promtool
	@$(call need,promtool,prometheus)
	promtool check rules deploy/prometheus/alerts.yaml
	promtool test rules tests/deploy/alerts.yaml

SUITE ?= sid
FRESH_PYTHON ?= python3

.PHONY: test-fresh
test-fresh: ## install, run and test on a fresh Debian SUITE without a compiler; needs root and debootstrap
	@$(call need,debootstrap,debootstrap)
	tests/fresh/debian.sh $(SUITE) $(FRESH_PYTHON)

# --- the image --------------------------------------------------------------------------------------------------------

# a command that takes a folder, a tag and the arguments of a build
IMAGE_BUILDER ?= deploy/container/build.sh
# run, or tracing for an image with the OpenTelemetry exporter
REQUIREMENTS ?= run
IMAGE ?= localhost/softmax-service:latest
VERSION = $(shell sed -n 's/__version__ = "\(.*\)"/\1/p' service/__init__.py)

.PHONY: image
image: .venv-deploy/done ## build the container image and the list of its packages
	$(IMAGE_BUILDER) . $(IMAGE) --build-arg REQUIREMENTS=$(REQUIREMENTS) --build-arg VERSION=$(VERSION) --build-arg REVISION=$(shell git describe --always --dirty --abbrev=40)
	mkdir -p build
	.venv-deploy/bin/python -m deploy.container.locked $(REQUIREMENTS) | .venv-deploy/bin/cyclonedx-py requirements - \
		--pyproject pyproject.toml --mc-type application --output-reproducible --output-file build/image.cdx.json

.PHONY: test-image
test-image: ## lint the Dockerfile, build, run and measure the image; needs docker or podman
	@docker info > /dev/null 2>&1 || { $(call need,podman,podman); }
	$(MAKE) image
	IMAGE=$(IMAGE) .venv-deploy/bin/python -m pytest tests/container

# --- measurements -----------------------------------------------------------------------------------------------------

.PHONY: bench
bench: .venv/dev ## measure this service beside its peers, about 20 minutes
	$(BIN)/python -m bench
	$(BIN)/python -m bench.report

.PHONY: soak
soak: .venv/dev ## report memory and descriptors under mixed traffic, 5 minutes
	$(BIN)/python -m bench.soak

# --- dependencies -----------------------------------------------------------------------------------------------------

LOCK := --universal --no-strip-extras --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet

.PHONY: platforms
platforms: .venv/run ## find out on which platforms the locked packages install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/python -m deploy.platforms

.PHONY: lock
lock: .venv/run ## update the lock files, with hashes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile pyproject.toml $(LOCK) -o requirements/run.txt
	sed -n '/^fast = /,/^]/s/^ *"\([^"]*\)".*/\1/p' pyproject.toml | $(BIN)/uv pip compile - $(LOCK) -o requirements/fast.txt
	$(BIN)/uv pip compile pyproject.toml --extra tracing -c requirements/run.txt $(LOCK) -o requirements/tracing.txt
	$(BIN)/uv pip compile pyproject.toml --extra dev $(LOCK) -o requirements/dev.txt
	$(BIN)/uv pip compile pyproject.toml --extra deploy -c requirements/run.txt $(LOCK) -o requirements/deploy.txt
	$(BIN)/uv pip compile --group browser -c requirements/dev.txt $(LOCK) -o requirements/browser.txt
	$(BIN)/uv pip compile pyproject.toml --extra ray --group ray-tests -c requirements/run.txt $(LOCK) -o requirements/ray.txt
	$(BIN)/uv pip compile requirements/clients.in $(LOCK) -o requirements/clients.txt
	$(BIN)/uv pip compile requirements/kserve.in $(LOCK) -o requirements/kserve.txt
	$(BIN)/uv pip compile --group docs $(LOCK) -o requirements/docs.txt
	$(BIN)/uv pip compile --group checks -c requirements/dev.txt $(LOCK) -o requirements/checks.txt
