# make run     starts a server with the default app on port 6001 of 127.0.0.1; ARGS changes this: ARGS='--host 0.0.0.0'
# make unit    runs the tests that need only Python
# make test    runs the full test suite: lint, types, tests with real clients and a real browser
# make test-slow  runs the tests under CPU load, with time slices of zero and of a minute: no test may depend on speed
# make test-oldest  runs the HTTP tests with the oldest httptools that pyproject.toml allows; make test has the newest
# make examples  builds every example and tests it in Chromium; make screenshots updates the pictures of the READMEs
# make test-deploy  tests the files of deploy/ with systemd, real proxies and Helm; it compiles Helm once, which takes minutes
# make manifests  writes what follows from other files: the schema and the alerts of the chart, the manifests of deploy/kubernetes
# make bench   compares the server with soketi and writes docs/benchmarks*.md; ARGS=--quick for a rough first result
# make chaos   kills three nodes over Redis at random under load for two minutes, and prints a ledger of every event
# make chaos-history  does so with real clients and history: no client may lose an event, even if its connection breaks
# make dist    builds the wheel and the sdist into dist/ and checks them
# make test-dist  builds both, installs them with pip, pipx and uvx, and starts the server; it needs a registry of packages
# make test-image  builds the image with podman and runs it, read-only and without rights; needs root on Linux
# make test-pythons  runs the quick tests with each Python from 3.11 to 3.14 that this machine has
# make format  formats the code as make test demands
# make clean   removes all files that these targets have created

PYTHON ?= python3
BIN := .venv/bin
CLIENTS := tests/clients
SOKETI := benchmarks/soketi

.PHONY: run install test test-slow test-oldest test-deploy manifests lint types unit clients tools examples screenshots format clean help bench bench-micro chaos

help:
	@sed -n 's/^# make/make/p' Makefile

run: install
	@$(BIN)/soketpy start --hint $(if $(filter --host% --unix-socket%,$(ARGS)),,--host 127.0.0.1) $(ARGS)

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt soketpy/__init__.py
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[all]'
	@touch $@

tools: .venv/tools $(CLIENTS)/node_modules/.installed
	@sh tests/clients/install-chromium.sh
	@sh tests/drivers/install-redis.sh
	@sh tests/drivers/install-databases.sh
	@sh tests/install-prometheus.sh

.venv/tools: .venv/installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[all,test]'
	@touch $@

$(CLIENTS)/node_modules/.installed: $(CLIENTS)/package-lock.json
	@command -v npm >/dev/null || { echo 'The tests need Node.js 20 and npm. Install them first.' >&2; exit 1; }
	@cd $(CLIENTS) && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

test: lint types
	@$(BIN)/python -m pytest -q tests/examples -m "not examples"
	@$(BIN)/python -m pytest -q -n 2 --ignore=tests/examples --ignore=tests/deploy --ignore=tests/packaging --ignore=tests/image --cov --cov-report=term:skip-covered

lint: tools
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: tools
	@$(BIN)/mypy

.PHONY: dist test-dist .venv/dist

.venv/dist: .venv/tools
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dist]'

dist: .venv/dist
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation --outdir dist
	@$(BIN)/twine check --strict dist/*

# A registry of packages may be slow, so the limit of one test is ten minutes.
test-dist: .venv/dist
	@sh tests/packaging/install-actionlint.sh
	@$(BIN)/python -m pytest -q -n 2 --timeout 600 tests/packaging $(ARGS)

# The tests are skipped where no container can run. The first run makes a base with debootstrap, and keeps it in ~/.cache.
.PHONY: test-image
test-image: tools
	@sh tests/image/install-podman.sh
	@$(BIN)/python -m pytest -q --timeout 600 tests/image $(ARGS)

# PYTHONS are versions of Python; those that this machine lacks are skipped.
PYTHONS ?= 3.11 3.12 3.13 3.14

.PHONY: test-pythons
test-pythons: .venv/dist
	@sh tests/pythons.sh $(PYTHONS)

format: tools
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# ARGS are arguments of pytest; --only hogs, --only zero or --only minute selects one of the three runs; --hogs N sets the load.
test-slow: tools
	@$(BIN)/python -m tests.slow -n 2 --ignore=tests/examples --ignore=tests/deploy --ignore=tests/packaging --ignore=tests/image $(ARGS)

OLDEST := build/oldest

test-oldest: tools
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --target $(OLDEST) \
	  "$$(sed -n 's/.*"\(httptools\)>=\([0-9.]*\),.*/\1==\2/p' pyproject.toml)"
	@PYTHONPATH=$(OLDEST) $(BIN)/python -m pytest -q -n 2 tests/protocol tests/web

# The versions of these tools are not those of users, so the extra is not part of `all` or `test`.
test-deploy: tools
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[deploy]'
	@sh tests/install-proxies.sh nginx caddy haproxy
	@sh tests/deploy/install-helm.sh
	@$(BIN)/python -m pytest -q -n 2 tests/deploy $(ARGS)

manifests: .venv/tools
	@cp config/monitoring/alerts.yaml deploy/helm/soketpy/files/alerts.yaml
	@$(BIN)/python -m tests.deploy.schema > deploy/helm/soketpy/values.schema.json
	@sh tests/deploy/install-helm.sh
	@$(BIN)/python -m tests.deploy.chart > deploy/kubernetes/soketpy.yaml

unit: .venv/tools
	@$(BIN)/python -m pytest -q -n 2 --ignore=tests/clients --ignore=tests/examples --ignore=tests/deploy --ignore=tests/packaging --ignore=tests/image

examples: tools
	@sh tests/install-proxies.sh nginx caddy
	@$(BIN)/python -m pytest -q -n 4 tests/examples $(ARGS)

screenshots: tools
	@UPDATE_SCREENSHOTS=1 $(BIN)/python -m pytest -q tests/examples -k picture

# If npm is missing or fails, the benchmarks skip soketi and the page says so.
bench: .venv/installed
	@test -e $(SOKETI)/node_modules/.installed || (cd $(SOKETI) && npm ci --ignore-scripts --no-audit --no-fund && touch node_modules/.installed) || true
	@$(BIN)/python -m benchmarks.run $(ARGS)

# Benchmarks of the functions that run for every event; ARGS are arguments of pytest-benchmark, such as --benchmark-compare.
bench-micro: .venv/tools
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	@$(BIN)/python -m pytest -q -p no:xdist --benchmark-only --benchmark-columns=min,median,iqr,ops --benchmark-sort=name \
		benchmarks/micro.py benchmarks/micro_webhooks.py $(ARGS)

chaos: .venv/tools
	@$(BIN)/python -m benchmarks.chaos $(ARGS)

# The clients are those of tests/clients, since they must be pusher-js as npm has it, in Node and in Chromium.
.PHONY: chaos-history
chaos-history: tools
	@$(BIN)/python -m tests.clients.chaos $(ARGS)

clean:
	rm -rf .venv $(CLIENTS)/node_modules $(SOKETI)/node_modules dist build .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
	rm -rf examples/*/node_modules examples/*/.next examples/*/.nuxt examples/*/.output examples/*/.svelte-kit examples/*/build examples/*/dist
	rm -f examples/live-cursors/public/app.js
