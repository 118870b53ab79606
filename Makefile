PYTHON ?= python3
PORT ?= 8000
BIN = .venv/bin
SUDO = $(shell [ "$$(id -u)" = 0 ] || echo sudo -n)
CHROMIUM = $$(which chromium chromium-browser google-chrome google-chrome-stable)

.PHONY: book serve test figures lint benchmark benchmark-figures requirements clean help browser
.DELETE_ON_ERROR:

book: .venv/installed ## Execute the notebooks and build the site into _build/html
	@echo "== Building the book. Notebooks that changed are executed first, which takes minutes."
	rm -rf _build/html _build/.doctrees # only executed notebooks are kept: nothing stale is shown
	$(BIN)/jupyter-book build . -W -n --keep-going
	@echo "== The book is in _build/html: open _build/html/index.html, or run 'make serve'."

serve: _build/html/index.html .venv/installed ## Show the site at http://localhost:8000 (PORT=8000)
	$(BIN)/python -m http.server $(PORT) --bind localhost --directory _build/html

test: book browser node_modules/installed ## Test the package, the built pages and every notebook
	@echo "== Testing the package and the built pages."
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2
	@echo "== Executing every notebook from top to bottom."
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --nbmake --nbmake-timeout=300 --durations=0 book

figures: node_modules/installed .venv/installed ## Build the interactive figures from their JavaScript
	npm run --silent figures
	$(BIN)/python scripts/make_stills.py

lint: .venv/installed ## Check the code and the notebooks with ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

benchmark: _build/benchmark/installed ## Measure the speed beside other libraries, for README's table
	OMP_NUM_THREADS=1 _build/benchmark/bin/python benchmarks/speed.py
	_build/benchmark/bin/python benchmarks/speed.py --table

benchmark-figures: book browser ## Measure the figures in Chromium, for README's table
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/browser.py
	$(BIN)/python benchmarks/browser.py --table

requirements: ## Compile requirements.txt from pyproject.toml
	$(PYTHON) -m venv _build/uv && _build/uv/bin/pip install --quiet uv
	{ head -1 requirements.txt && _build/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
		--all-extras --no-header --no-emit-index-url --no-emit-find-links pyproject.toml; } > _build/requirements.txt
	mv _build/requirements.txt requirements.txt

clean: ## Remove the built site, the execution cache and the environments
	rm -rf _build .venv node_modules

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 19

browser:
	@[ -n "$(CHROMIUM)" ] || { echo "== Installing Chromium, in which the built pages are tested."; \
		$(SUDO) apt-get update -qq && $(SUDO) apt-get install -qq --yes chromium; } \
		|| echo "== Chromium could not be installed: the tests that need it say how to get it."

_build/html/index.html:
	$(MAKE) book

.venv/installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	@echo "== Making the environment .venv from requirements.txt. The first time, this takes minutes."
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --requirement requirements.txt
	$(BIN)/pip install --no-deps --editable .
	@touch $@

node_modules/installed: package-lock.json package.json
	@command -v npm >/dev/null || { echo "== Installing Node.js, which builds the figures."; \
		$(SUDO) apt-get update -qq && $(SUDO) apt-get install -qq --yes nodejs npm; }
	npm ci --no-audit --no-fund
	@touch $@

# The other libraries see the tested environment and join it from outside, so that none of them
# changes a version there.
_build/benchmark/installed: .venv/installed
	@echo "== Installing the other libraries into _build/benchmark: 620 MB."
	$(PYTHON) -m venv _build/benchmark
	$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> $$(_build/benchmark/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/tutorial.pth
	$(BIN)/pip --python _build/benchmark/bin/python install --constraint requirements.txt --group benchmark
	@touch $@
