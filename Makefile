# The few verbs of this project. Each sets up what it needs.
PY := .venv/bin/python
TEST_PEERS := sipp:sip-tester baresip:baresip initdb:postgresql
BENCH_PEERS := $(TEST_PEERS) rtpengine:rtpengine-daemon ffmpeg:ffmpeg

.PHONY: help setup demo test check bench docs rules contract lock
help: ## list the verbs
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

setup: ## make .venv with all pinned packages
	@deploy/setup.sh

demo: setup ## start Earwitness, make real calls, print where to listen
	@$(PY) -m earwitness.cli.main demo $(ARGS)

test: setup ## run all tests with real peers
	@deploy/peers.sh $(TEST_PEERS)
	@PY=$(PY) deploy/test.sh $(ARGS)

check: setup ## lint, types, import rules, docs
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache
	$(PY) -m pytest tests/docs

bench: setup ## measure the figures of docs/operations.md, beside their peers
	@deploy/peers.sh $(BENCH_PEERS)
	$(PY) -m bench $(ARGS)

docs: setup ## write docs/openapi.json and hold docs against the code
	$(PY) -m earwitness.cli.main openapi > docs/openapi.json
	$(PY) -m pytest tests/docs

rules: setup ## which rules of the contract have a test
	@$(PY) -m earwitness.cli.main rules

contract: setup ## which operations of the contract pass through the vendor's SDK
	@$(PY) -m earwitness.cli.main contract

lock: setup ## pin the packages again
	.venv/bin/uv pip compile -q pyproject.toml --group dev --universal --generate-hashes --no-header --no-annotate --python-version 3.11 -o requirements.lock
