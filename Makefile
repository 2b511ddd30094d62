PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test clean

# Five architectures on MNIST-1D, side by side.
demo: .venv/installed
	$(BIN)/evenhand demo

# The whole suite, ruff and mypy.
test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

# Made anew only when what is to be installed has changed.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt 'torch==2.13.0'
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv *.egg-info
