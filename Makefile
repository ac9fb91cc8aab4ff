# crosslook: `make demo` and `make test` install everything they need first.
PYTHON ?= python3
VENV   := .venv
COMMA  := ,
BIN    := $(VENV)/bin
GPU    := $(if $(shell command -v nvidia-smi),$(COMMA)gpu)
DATASET ?=
DATASETS ?= $(DATASET)

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test lint types check bench model ablation clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

setup: $(VENV)/.installed ## create .venv and install crosslook in it, with what training and tests need

PIP := $(BIN)/python -m pip install --upgrade-strategy only-if-needed -c constraints.txt

$(VENV)/.light: pyproject.toml setup.py constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "crosslook needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip uninstall --quiet --yes faiss-gpu faiss-cpu 2>/dev/null # one of them, and in the same folder
	$(PIP) -e '.[demo$(GPU)]'
	@touch $@

$(VENV)/.installed: $(VENV)/.light
	$(PIP) --quiet -e '.[demo,dev,train]'
	@touch $@

demo: $(VENV)/.light ## index some photographs, search them, and write an HTML page
	$(BIN)/python scripts/demo.py

serve: $(VENV)/.light ## serve ./crosslook-index over HTTP
	$(BIN)/crosslook serve

test: setup ## run the tests, in two processes of one thread each, a file at a time
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

lint: setup ## ruff, import contracts, Biome for the web page, hadolint for the Dockerfile
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/biome ci api/web
	if [ -x $(BIN)/hadolint ]; then $(BIN)/hadolint deploy/Dockerfile; fi

types: setup ## mypy --strict
	$(BIN)/mypy

check: lint types test ## lint, types and test

bench: setup ## time the stages of indexing and searching on this machine
	$(BIN)/python -m benchmarks.stages

model: setup ## rebuild the base model from datasets: make model DATASETS='flickr8k everyday.jsonl'
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[build]'
	$(BIN)/python -m scripts.build_base_model $(DATASETS)

ablation: setup ## rebuild the table of docs/MODEL.md: make ablation DATASET=path/to/flickr8k
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[build]'
	$(BIN)/python -m scripts.ablation $(DATASET)

clean: ## remove everything these targets created, except your index
	rm -rf $(VENV) build demo-output .pytest_cache .mypy_cache .ruff_cache .import_linter_cache *.egg-info
