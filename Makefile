# Needs Python 3.11 to 3.13, pip, git and make. Everything else is installed into .venv from requirements.lock.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help env book pdf serve test lint unit nbval compare check run train bench lock clean

help:  ## What can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 8

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"Python 3.11 to 3.13 is needed, $(PYTHON) is {v[0]}.{v[1]}; choose one: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv==0.13.9
	$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

env: .venv/.ready  ## The environment alone

book: env  ## Execute every chapter and render the book, with its PDF where there is a Chromium
	$(BIN)/python tools/chapters.py build
	$(BIN)/python tools/chapters.py render
	$(BIN)/python tools/book_pdf.py --optional
	@echo "The book: $(CURDIR)/_build/html/index.html"
	@echo "Opened as a file it reads well; for downloads and search with excerpts: make serve"

pdf: env  ## Print the rendered book as _build/html/book.pdf; needs a Chromium
	$(BIN)/python tools/book_pdf.py

serve:  ## Show the rendered book at http://localhost:8000
	$(BIN)/python -m http.server --directory _build/html --bind localhost 8000

# What compares the chapters' outputs: nbval executes them anew. NOTEBOOKS=compare takes the execution that `make book`
# has just done, for CI.
NOTEBOOKS ?= nbval

test: lint unit $(NOTEBOOKS)  ## Lint, types, unit tests, notebooks, the rendered book, its pages in a browser

lint: env
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python tools/chapters.py check

unit: env
	$(BIN)/pytest

# Executes every chapter and compares its outputs with those that stand in it.
nbval: env
	TQDM_DISABLE=1 LAYA_NB_CACHE=_build/cache $(BIN)/pytest --nbval --nbval-current-env book

compare: env
	$(BIN)/python tools/chapters.py compare

# For a module that changed since the last commit, NAME.py, the tests are tests/test_NAME.py, where there is such a file;
# for a test file that changed, itself. Those that take minutes are left to `make test`.
SLOW := tests/test_accessibility.py tests/test_book.py tests/test_book_pdf.py tests/test_browser.py tests/test_notebooks.py
CHANGED = $(shell { git diff --name-only HEAD; git ls-files --others --exclude-standard; } \
	| sed -nE 's:^(src|tools|tests)/(.*/)?(test_)?([a-z0-9_]+)\.py$$:tests/test_\4.py:p' | sort -u)

check: lint  ## In a minute: lint, types, chapters, tests/test_NAME.py of each changed module NAME.py
	@set -- $(filter-out $(SLOW),$(wildcard $(CHANGED))); if [ $$# -gt 0 ]; then echo $(BIN)/pytest "$$@"; $(BIN)/pytest "$$@"; fi

run: env  ## Run a chapter at other parameters: make run CHAPTER=fashion_mnist ARGS="-p seeds [0,1]"
	$(BIN)/python tools/chapters.py run $(CHAPTER) $(ARGS)

train: env  ## Train the published runs that data/results lacks (hours, from an empty folder)
	$(BIN)/python tools/train.py

bench: env  ## Measure speed on this machine
	$(BIN)/python tools/bench.py

clean:  ## Remove what was built, not the environment
	rm -rf _build runs

lock:  ## Resolve requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile --quiet pyproject.toml --all-extras --group notebooks --group book --group test --group weights \
		--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--output-file requirements.lock
