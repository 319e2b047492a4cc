# Everything that a user, a developer or CI runs. `make help` lists it.

PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
# Versions of what the tests and linters need; `make test-latest` takes the newest instead.
export CONSTRAINTS ?= --constraint constraints.txt

# Twice as many test processes as processors: half of their time they wait, and those of the matrix run beside them. More of
# them would be late for what their tests wait for.
export JOBS ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))
# Tests start hundreds of interpreters: without compiled modules each takes a second more.
unexport PYTHONDONTWRITEBYTECODE

# Dev profile: seconds to rebuild. `pip install .` and `make bench` build the release.
MATURIN := $(BIN)/maturin develop --quiet
PARALLEL := --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder
# What tries again and again, in `make test` a few times.
LOOPS := tests/checks/test_login_changes.py tests/process/test_exit.py tests/process/test_fork.py tests/process/test_background.py tests/process/test_wedge.py \
	tests/process/test_probe_server.py tests/django/test_objectives_simulated.py tests/django/test_server_matrix.py

.PHONY: help build demo test test-load test-latest test-rust test-python test-matrix test-services faults soak forks first-use kill-test lint fmt docs \
	fleet bench bench-check changelog constraints clean services

help: ## Lists the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(BIN)/python:
	$(PYTHON) scripts/make-venv $(VENV)

# What the demo needs; what tests and linters need comes on top.
$(VENV)/.demo: django_integration/pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet 'maturin>=1.9.4,<2'
	$(MATURIN)
	$(BIN)/pip install --quiet --editable './django_integration[cli]'
	@touch $@

$(VENV)/.dev: requirements-dev.txt constraints.txt $(VENV)/.demo
	$(BIN)/pip install --quiet $(CONSTRAINTS) uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python $(CONSTRAINTS) --requirement requirements-dev.txt
	@touch $@

build: $(VENV)/.demo ## Builds the engine (dev profile) into .venv
	$(MATURIN)

services: ## Installs the servers that the tests start (Debian packages, needs root)
	scripts/install-debian chromium-headless-shell haproxy prometheus prometheus-alertmanager mariadb-server nsd rabbitmq-server strace wrk

demo: build ## Serves examples/demo on 127.0.0.1:$PORT; FULL=1: with real PostgreSQL, Redis, MQTT, SMTP, HTTP servers
ifdef FULL
	scripts/install-debian
	$(MAKE) --no-print-directory $(VENV)/.dev
endif
	PORT=$(PORT) $(BIN)/python $(if $(FULL),-m tests.services.demo,examples/demo/run.py)

# What waits for servers and what needs none run beside each other.
test: services $(VENV)/.dev test-rust ## Runs all tests, but for those of load
	$(MATURIN)
	$(MAKE) --no-print-directory --jobs 2 test-matrix test-services

# By themselves, since they ask how long something takes, or bring the machine to its limits.
test-load: services $(VENV)/.dev ## Runs what measures time or load: where the bounds are wide two at a time, the rest alone
	$(MATURIN)
	$(BIN)/python -m pytest -m beside_one --numprocesses 2 --dist worksteal
	$(BIN)/python -m pytest -m alone

test-rust:
	cargo test --quiet --no-default-features --all-targets

test-latest: ## Runs all tests with the newest release of everything they need
	rm -f $(VENV)/.dev
	$(MAKE) test CONSTRAINTS=--upgrade; status=$$?; rm -f $(VENV)/.dev; exit $$status

# Every supported Python with the Django versions that it is meant for, as far as these interpreters are here.
test-matrix: $(VENV)/.dev
	$(BIN)/nox --envdir target/nox --session tests

# What the matrix does not run.
test-services: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not alone and not beside_one and not matrix" $(PARALLEL) --durations 30

test-python: $(VENV)/.dev ## Runs what PYTEST=tests/unit names, or all of it
	$(MATURIN)
	$(BIN)/python -m pytest $(or $(PYTEST),$(PARALLEL))

kill-test: $(VENV)/.dev ## kill -9 of 1,000 workers that share a store, and of 300 that send alerts, at random instants
	$(MATURIN)
	$(BIN)/python -m tests.kill.kill --kills 1000
	LIFESIGNS_KILLS=300 $(BIN)/python -m pytest tests/alerts/test_processes.py -k killed_at_random

faults: services $(VENV)/.dev ## Drives every fault against every dependency; prints the matrix, fails if a bound is broken; CELLS=--accept keeps it
	$(MATURIN)
	$(BIN)/python -W error -m tests.faults.matrix $(CELLS)
	$(BIN)/python -W error -m tests.faults.isolation $(CELLS)
	$(BIN)/python -W error -m tests.faults.fleet $(CELLS)

soak: services $(VENV)/.dev ## 10,000 sweeps while faults come and go at random, and hundreds of exits and forks: nothing may be left of them
	$(MATURIN)
	$(BIN)/python -W error -m tests.faults.soak $(SOAK)
	LIFESIGNS_LOOPS=whole $(BIN)/python -m pytest $(LOOPS)
	LIFESIGNS_LOOPS=whole cargo test --quiet --no-default-features --lib reference

fleet: services $(VENV)/.dev ## 200 processes in 20 simulated hosts on one Redis: runs, commands, holders stopped and killed, one incident; FLEET="--hosts 5"
	$(MATURIN)
	$(BIN)/python -W error::ResourceWarning -m tests.fleet.scale $(FLEET)
	$(BIN)/python -W error::ResourceWarning -m tests.fleet.failover

forks: $(VENV)/.dev ## 200 processes forked under load, 200 exits with a hung callable
	$(MATURIN)
	$(BIN)/python -W error -m tests.faults.forks

first-use: services $(VENV)/.dev ## First sweeps of 200 fresh processes on each Python of the matrix, oldest and newest redis-py: none may fail
	$(BIN)/nox --envdir target/nox --session first_use -- $(or $(FIRST_USE),40)

lint: $(VENV)/.dev ## Format, clippy, ruff, mypy, stubtest, workflows: warnings are errors
	$(MATURIN)
	cargo fmt --check
	cargo clippy --quiet --all-targets -- --deny warnings
	cargo clippy --quiet --all-targets --no-default-features -- --deny warnings
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest lifesigns._core
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
	$(BIN)/zizmor --quiet --offline .github

fmt: $(VENV)/.dev ## Formats everything
	cargo fmt
	$(BIN)/ruff check --fix --quiet
	$(BIN)/ruff format --quiet

docs: $(VENV)/.dev ## Builds the documentation's site into target/site, with its links checked; renews the picture of the dashboard
	$(BIN)/python scripts/dashboard-picture
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# Criterion's first: it is built without the feature `python`, and either build of the library takes the other's place.
bench: services $(VENV)/.dev ## All benchmarks of a release build, as ratios in one run; COMPARE=--accept keeps them
	@failed=0; \
	cargo bench --quiet --no-default-features --bench engine --bench store \
		-- --warm-up-time 1 --measurement-time 2 >&2 || failed=1; \
	$(MATURIN) --release >&2 || exit 1; \
	$(BIN)/python benches/sweep.py >&2 || failed=1; \
	$(BIN)/python -m benches.compare $(COMPARE) || failed=1; \
	$(BIN)/python -m benches.cadence $(COMPARE) || failed=1; \
	$(BIN)/python -m benches.scale $(COMPARE) || failed=1; \
	exit $$failed

bench-check: services $(VENV)/.dev ## Says which ratios are worse by more than 20 % than in benches/baseline.json
	@$(MATURIN) --release >&2
	@$(BIN)/python -m benches.compare --check

changelog: $(VENV)/.dev ## Moves the fragments of changelog.d into CHANGELOG.md: VERSION=0.2.0
	$(BIN)/towncrier build --yes --version $(VERSION)

# Django's version is that of each session of the matrix.
constraints: $(VENV)/.dev ## Renews constraints.txt: the newest versions that agree, for every supported Python
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --no-header --no-annotate --no-emit-package django \
		--output-file constraints.txt requirements-dev.txt

clean: ## Removes what was built
	rm -rf target $(VENV)
