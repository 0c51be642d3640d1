# Interlock: `make run` sets everything up and starts it, `make test` sets everything up and tests it.
SHELL := /bin/sh
VENV := .venv
PY := $(VENV)/bin/python
STATE ?= state
PORT ?= 8700
HOOK_PORT ?= 8701
SEEDS ?= 2000
FROM ?= 0
PROFILE ?= merge
SCALE ?= core
TARGET ?=
LIMIT ?= 0
STATIC := src/interlock/web/static/index.html

.PHONY: setup dashboard run test lint bench bench-peers crash lock simulate mutate clean

setup: $(VENV)/.ready $(STATIC)

$(VENV)/.ready: requirements.txt pyproject.toml
	@python=; for name in $${PYTHON:-python3 python3.13 python3.12 python3.11}; do \
	  if command -v $$name >/dev/null 2>&1 && $$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; then python=$$name; break; fi; done; \
	if [ -z "$$python" ]; then echo "Interlock needs Python 3.11, 3.12 or 3.13; none was found. Set PYTHON=/path/to/python3.12." >&2; exit 2; fi; \
	test -x $(PY) || $$python -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

dashboard: $(STATIC)

$(STATIC): $(VENV)/.ready dashboard/package.json dashboard/package-lock.json $(shell find dashboard/src dashboard/index.html dashboard/vite.config.ts -type f 2>/dev/null)
	@$(PY) tools/build_dashboard.py

run: setup
	@test -e $(STATE)/interlock.toml || $(VENV)/bin/interlock init --state $(STATE)
	$(VENV)/bin/interlock run --state $(STATE) --port $(PORT) --hook-port $(HOOK_PORT)

test: setup lint
	$(PY) -m pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered

lint: setup
	$(VENV)/bin/ruff check src tests benchmarks tools examples
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

bench: setup
	$(PY) -m benchmarks

bench-peers: setup
	$(PY) -m benchmarks.peers

simulate: setup
	$(VENV)/bin/interlock simulate --seeds $(SEEDS) --from $(FROM) --profile $(PROFILE) --scale $(SCALE)

mutate: setup
	$(PY) -m tools.mutate $(if $(TARGET),$(TARGET),--all) --limit $(LIMIT)

crash: setup
	$(PY) -m tests.process.crash --kills 200

lock:
	$(VENV)/bin/python -m pip install --quiet uv
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet requirements.in -o requirements.txt

clean:
	rm -rf $(VENV) .node dashboard/node_modules src/interlock/web/static
