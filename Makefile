# Tagwatch: `make demo` shows it, `make test` proves it. Both do all the set-up they need.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
KERNELS := $(shell grep -rls --include=*.py "^@kernel" engine geofence crime_match tagwatch/simulate)

.PHONY: default setup demo test lint bench nightly fuzz docs dist reproducible sbom audit clean
default: lint test

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml package-lock.json $(KERNELS)
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"Python 3.11 to 3.13 is needed, this is {v[0]}.{v[1]}: say make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@command -v npm > /dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-node.lock
	$(BIN)/python -m tagwatch.console.browser_parts
	$(BIN)/python -m tagwatch.warm
	@touch $@

demo: setup
	$(BIN)/tagwatch demo

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python -m benchmarks.run

# The long proofs: the ledger law over 10,000 random worlds (12 minutes), a hundred kills (10 minutes, needs mosquitto).
nightly: setup
	$(BIN)/python -m benchmarks.worlds --examples 10000 --seed 1
	$(BIN)/python -m benchmarks.crashes --kills 100 --seed 1

# What is given away: wheel, source archive, locks and bill of materials, in dist/. Twice the same bytes from the same commit.
dist: setup
	$(BIN)/python -m release.dist

reproducible: setup
	$(BIN)/python -m release.twice

sbom: setup
	$(BIN)/python -m release.sbom dist/tagwatch.cdx.json

# Lock, licences and what is installed are looked at here; npm asks its registry for what is known of its packages.
audit: setup
	$(BIN)/python -m release.audit
	npm audit --omit=dev || echo "npm could not ask its registry, or knows of faults: see above"

# Every reader of what others wrote, a minute each (less for slow ones) of mutated inputs, and the counts (half an hour).
fuzz: setup
	$(BIN)/python -m tests.fuzz --seconds 60 --record

docs: setup
	$(BIN)/python -m pytest -q tests/unit/test_docs.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
