# `make demo` and `make test` need Python 3.10+, pip and venv; nothing else has to be installed by hand.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ROOMS := pipeline models purification tools tests examples docs setup.py

.PHONY: demo docs test test-slow test-browser test-lowest check format bench-gpu bench-gpu-dry clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	tools/demo.sh $(BIN) demo

# The site, for reading without a network: build/docs/index.html. Warnings are errors. tests/docs builds it, too.
docs: $(VENV)/.installed-dev
	$(BIN)/sphinx-build -q -n -W --keep-going -c docs/site -d build/doctrees docs build/docs

test: $(VENV)/.installed-dev
	$(BIN)/pytest -q -n 3 -m "not slow"

test-slow: $(VENV)/.installed-dev
	$(BIN)/pytest -q -n 2 -m slow

# Chromium and its driver come from Debian's packages, which only root can install.
test-browser: $(VENV)/.installed-dev
	command -v chromium && command -v chromedriver || apt-get install -y --no-install-recommends chromium chromium-driver
	SCIU_REQUIRE_BROWSER=1 $(BIN)/pytest -q -m browser

test-lowest:
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/pip install --quiet --editable '.[test]' --constraint tests/lowest.txt
	$(VENV)-lowest/bin/pytest -q -n 3 -m "not slow"

check: $(VENV)/.installed-dev
	$(BIN)/ruff check $(ROOMS)
	$(BIN)/ruff format --check $(ROOMS)
	$(BIN)/mypy typings/sciu tests docs/site setup.py
	$(BIN)/pytest -q tests/test_layering.py

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix $(ROOMS)
	$(BIN)/ruff format $(ROOMS)

bench-gpu: $(VENV)/.installed-dev
	$(BIN)/python tools/bench.py gpu --out bench-gpu

bench-gpu-dry: $(VENV)/.installed-dev
	$(BIN)/python tools/bench.py gpu --dry --out bench-gpu-dry

$(VENV)/.installed: pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-lowest demo build bench-gpu bench-gpu-dry .mypy_cache .ruff_cache .pytest_cache .hypothesis
