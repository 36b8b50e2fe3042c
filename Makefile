# make app: install and open the studio.   make test: install what tests need and run them.
# make test-quick: without the browser and whole studios.   make soak: what takes longer than a test may.
# make gpu: what only a GPU can prove, in eight minutes; without one it says so and ends.
# make docs: the documentation as pages, site/docs/index.html.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Arguments for the studio: make app ARGS="--port 7861 --images ~/photos"
ARGS ?=
TEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: app test test-quick soak gpu lint bench docs install install-dev clean

app: $(VENV)/installed
	@$(BIN)/python app.py $(ARGS)

test: $(VENV)/installed-dev
	$(TEST)

test-quick: $(VENV)/installed-dev
	$(TEST) --ignore tests/browser -m "not slow"

soak: $(VENV)/installed-dev
	$(BIN)/python -m pytest tests/soak

gpu: $(VENV)/installed-dev
	$(BIN)/python -m tests.gpu

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@$(BIN)/python .ci/audit.py

bench: $(VENV)/installed-dev
	$(BIN)/python -m tests.benchmarks

docs: $(VENV)/installed-docs
	$(BIN)/python -m sphinx -q -E -W --keep-going -c docs . site
	@echo "Open site/docs/index.html in a browser."

install: $(VENV)/installed

install-dev: $(VENV)/installed-dev

$(VENV)/installed: requirements.txt pyproject.toml packaging_hook.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "PPAP Studio needs Python 3.10 or newer. Name one: make app PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "Python could not make $(VENV). On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	@# Editable, so that scripts anywhere can import ppap with this environment.
	$(BIN)/python -m pip install --quiet --editable .
	@grep '^pydensecrf' requirements.txt > $(VENV)/crf.txt
	@$(BIN)/python -m pip install --quiet -r $(VENV)/crf.txt > $(VENV)/crf.log 2>&1 || \
	  echo "The CRF package could not be built, so CRF is not available; everything else works." \
	       "It needs a C++ compiler (Debian, Ubuntu: apt install g++ python3-dev), then: make clean app." \
	       "Details: $(VENV)/crf.log"
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt requirements-track.txt
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	@touch $@

# Sphinx 9 needs Python 3.11; the project itself does with 3.10.
$(VENV)/installed-docs: $(VENV)/installed requirements-docs.txt
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "The documentation needs Python 3.11 or newer: make clean docs PYTHON=python3.12"; exit 1; }
	$(BIN)/python -m pip install --quiet -r requirements-docs.txt
	@touch $@

clean:
	rm -rf $(VENV) site
