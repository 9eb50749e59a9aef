# Everything a newcomer needs: `make run` starts the program, `make test` tests it. Both set up .venv on their own.

SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin

.PHONY: help run test test-all check bench gallery pictures clean setup setup-test

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*##/ {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup ## set up at the first call, then open the window; without a display run two presets and render a video
	@bash scripts/launch.sh

test: setup-test ## run the tests, without the longest and without further cases of a kind; ten minutes on two cores
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not thorough" $(ARGS)

test-all: setup-test ## run every test
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

check: setup-test ## linter, formatter, types, import rules; under a minute
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup-test ## ours beside the peers, all subjects; half an hour, and nothing else should run
	@for subject in mining batch losses render; do $(BIN)/hnm-lab bench $$subject || exit; done; $(BIN)/python benchmarks/training_step.py

gallery: setup ## make pictures, short recordings and videos of the presets anew, from runs; twenty minutes
	@PYTHONPATH=. $(BIN)/python scripts/gallery.py

pictures: setup ## make the pictures of the window in docs anew, from runs; needs a display, ten minutes
	@PYTHONPATH=. $(BIN)/python scripts/pictures.py

clean: ## remove the environment, caches and build outputs; recordings stay
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: ## make .venv with what the program needs
	@bash scripts/setup.sh run

setup-test: ## make .venv with what the tests need as well
	@bash scripts/setup.sh test
