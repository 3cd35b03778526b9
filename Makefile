# Two commands: `make run` and `make test`. Each makes .venv when it is missing or older than pyproject.toml.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
USE_EXTRAS := cpu,gemini
DEVELOP_EXTRAS := cpu,gemini,bench,train,engines,dev

.PHONY: run test lint clean

run: $(VENV)/.installed-for-use
	$(BIN)/cem-rag demo

test: $(VENV)/.installed-for-development
	$(BIN)/python -m pytest

lint: $(VENV)/.installed-for-development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

clean:
	rm -rf $(VENV) build *.egg-info

$(BIN)/python:
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 13), "Python 3.11 or 3.12 is needed: make PYTHON=/path/to/python3.11 ..."'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-for-use: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(USE_EXTRAS)]'
	touch $@

$(VENV)/.installed-for-development: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(DEVELOP_EXTRAS)]'
	touch $@ $(VENV)/.installed-for-use
