# Everything from a fresh clone: needs Python >= 3.11 and a C compiler, and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml cython_ext/CMakeLists.txt $(wildcard cython_ext/smalti_ext/*.pyx cython_ext/smalti_ext/*.pxd)

.PHONY: demo test install lint checked benchmark clean

demo: install ## simulate a displaced detector, find out where its panels are, open the report
	$(BIN)/smalti demo --force -o demo
	@$(BIN)/python -c "import os, sys, webbrowser; from pathlib import Path; \
	seen = sys.platform == 'darwin' or os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY'); \
	seen and webbrowser.open(Path('demo/report.html').resolve().as_uri())"

test: install ## all tests but the benchmarks
	$(BIN)/python -m pytest

install: $(VENV)/.installed ## smalti in a virtual environment of its own, editable

$(VENV)/.installed: $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

lint: install ## format, lint, types, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

checked: ## the kernels with every index checked, and their tests
	test -x $(VENV)-checked/bin/python || $(PYTHON) -m venv $(VENV)-checked
	$(VENV)-checked/bin/python -m pip install --quiet -C cmake.define.SMALTI_CHECKED=ON -C build-dir=build/checked ".[test]"
	$(VENV)-checked/bin/python -m pytest tests/kernels

benchmark: install ## speed and memory, on this machine
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only

clean:
	rm -rf $(VENV) $(VENV)-checked build dist demo
