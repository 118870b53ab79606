PYTHON ?= python3
PORT ?= 8000
BIN = .venv/bin
SUDO = $(shell [ "$$(id -u)" = 0 ] || echo sudo -n)
APT = $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300
# Where an installation was interrupted, it is finished first.
INSTALL = $(APT) update && { $(APT) check 2>/dev/null || $(SUDO) env DEBIAN_FRONTEND=noninteractive dpkg --configure -a; } \
	&& $(APT) install --yes --no-install-recommends

.PHONY: always book notebooks pdf serve test test-slow test-oldest figures lint benchmark benchmark-start benchmark-figures benchmark-commands benchmark-posteriors benchmark-unfamiliar benchmark-digits benchmark-pairs benchmark-comparison benchmark-mean-field requirements clean help browser
.DELETE_ON_ERROR:

book: notebooks _build/html.built ## Execute the notebooks that changed and build the site into _build/html
	@echo "== The book is in _build/html: open _build/html/index.html, or run 'make serve'."

# A site is built whole, or it is left as it is: Sphinx alone would not see that the package, or what
# a notebook showed, is another.
_build/html.built: $(shell find book bnn_tutorial _config.yml _toc.yml requirements.txt -type f -not -path '*__pycache__*') \
		$(wildcard _build/executed .git/config) $(if $(BNN_TUTORIAL_REPOSITORY),always) \
		$(if $(wildcard _build/html/index.html),,always) | notebooks
	@echo "== Building the site, in half a minute."
	@rm -rf $@ _build/html _build/.doctrees
	$(BIN)/jupyter-book build . -W -n --keep-going
	@touch $@

notebooks: .venv/installed
	@$(BIN)/python book/_extensions/execution.py

serve: _build/html/index.html .venv/installed ## Show the site at http://localhost:8000 (PORT=8000)
	$(BIN)/python -m http.server $(PORT) --bind localhost --directory _build/html

pdf: book browser ## Print the book to one PDF, _build/book.pdf
	$(BIN)/python scripts/make_pdf.py

test: .venv/installed ## Test notebooks, site, package and pages, and sum up what failed
	-@$(MAKE) --no-print-directory browser node_modules/installed # the tests say what they miss
	@$(BIN)/python tests/run_parts.py

test-slow: book browser node_modules/installed ## Test the pages on a slow and on a busy processor
	@$(BIN)/python tests/run_parts.py throttled
	@$(BIN)/python tests/run_parts.py --busy browser browser browser

test-oldest: _build/oldest/installed browser node_modules/installed ## Test with the oldest versions that pyproject.toml claims
	OMP_NUM_THREADS=1 _build/oldest/bin/pytest -n 2 --dist worksteal -m "not site" -W default
	OMP_NUM_THREADS=1 _build/oldest/bin/pytest -n 2 --nbmake --nbmake-timeout 600 book

figures: node_modules/installed .venv/installed ## Build the interactive figures from their JavaScript
	npm run --silent figures
	$(BIN)/python scripts/make_stills.py

lint: .venv/installed node_modules/installed ## Check the code and the notebooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	npm run --silent lint

benchmark: _build/benchmark/installed ## Measure the speed beside other libraries, for the book's page
	OMP_NUM_THREADS=1 _build/benchmark/bin/python benchmarks/speed.py
	_build/benchmark/bin/python benchmarks/speed.py --table

benchmark-start: .venv/installed ## Measure how soon the package and its command line answer
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/start.py --table

benchmark-commands: .venv/installed browser node_modules/installed ## Measure make book and make test, for CONTRIBUTING's table
	$(BIN)/python benchmarks/commands.py
	$(BIN)/python benchmarks/commands.py --table

benchmark-figures: book browser ## Measure the figures in Chromium, for the book's page
	OMP_NUM_THREADS=1 PYTHONPATH=scripts $(BIN)/python benchmarks/browser.py
	PYTHONPATH=scripts $(BIN)/python benchmarks/browser.py --table

benchmark-posteriors: .venv/installed ## Measure every road to a posterior, for the chapter's comparison
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/posteriors.py

benchmark-mean-field: .venv/installed ## Measure mean field by width and prior, for the chapter's record
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/mean_field.py

benchmark-unfamiliar: .venv/installed ## Measure every alarm on foreign inputs, for the chapter's record
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/unfamiliar.py $(if $(BNN_TUTORIAL_DATA),--data $(BNN_TUTORIAL_DATA))

benchmark-digits: .venv/installed ## Measure a Bayesian CNN and its twins over several starts, for the chapters' record
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/digits.py

benchmark-pairs: .venv/installed ## Measure Bayesian networks and their twins, for the book's page (CIFAR10_FOLDER=PATH adds CIFAR-10)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/pairs.py $(if $(CIFAR10_FOLDER),--folder $(CIFAR10_FOLDER))

benchmark-comparison: .venv/installed ## Compare ten ways to predict MNIST, for the book's page (needs BNN_TUTORIAL_DATA, or downloads)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/comparison.py --search
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/comparison.py
	$(BIN)/python benchmarks/comparison.py --table

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
	@$(PYTHON) scripts/chromium.py >/dev/null 2>&1 || { echo "== Installing Chromium, in which the pages are tested: up to 130 MB, a minute."; \
		{ $(INSTALL) chromium-headless-shell fonts-liberation; } || { $(INSTALL) chromium fonts-liberation; }; } \
		|| echo "== Chromium could not be installed, which needs a network and the right to install: the tests that need it say how to get it."

_build/html/index.html:
	$(MAKE) book

# What was begun and not finished is begun anew; what pip has loaded it keeps.
.venv/installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	@echo "== Making the environment .venv from requirements.txt: loads 3 GB, most of it PyTorch, and takes 6 GB."
	@echo "== That takes 2 to 15 minutes, once. It can be stopped and run again at any point."
	@[ -e $@ ] || $(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install --requirement requirements.txt && $(BIN)/pip install --no-deps --editable . \
		|| { echo "== The packages could not be installed. This step needs the network, and no later one of 'make book' does."; exit 1; }
	@touch $@

node_modules/installed: package-lock.json package.json
	@command -v npm >/dev/null || { echo "== Installing Node.js, in which the figures are built and tested: 100 MB, a minute."; $(INSTALL) nodejs npm; }
	@echo "== Installing what builds, checks and judges the figures, and checks the types of the code: 100 MB, some seconds."
	@npm ci --no-audit --no-fund --loglevel=error \
		|| { echo "== It could not be installed. This step needs the network."; exit 1; }
	@touch $@

# Of each direct dependency the oldest version that pyproject.toml claims, with what pip then needs.
_build/oldest/installed: pyproject.toml
	@echo "== Installing the oldest versions into _build/oldest: loads 3 GB, takes 7 GB and some minutes."
	$(PYTHON) -m venv --clear _build/oldest
	_build/oldest/bin/pip install --quiet uv
	_build/oldest/bin/uv pip compile --quiet --resolution lowest-direct --all-extras pyproject.toml --output-file _build/oldest/requirements.txt
	_build/oldest/bin/uv pip install --python _build/oldest/bin/python --requirement _build/oldest/requirements.txt
	_build/oldest/bin/uv pip install --python _build/oldest/bin/python --no-deps --editable .
	@touch $@

# The other libraries see the tested environment and join it from outside, so that none of them
# changes a version there.
_build/benchmark/installed: .venv/installed
	@echo "== Installing the other libraries into _build/benchmark: 620 MB."
	$(PYTHON) -m venv _build/benchmark
	$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> $$(_build/benchmark/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/tutorial.pth
	_build/benchmark/bin/pip install --quiet --upgrade pip # which reads groups from version 25.1
	_build/benchmark/bin/pip install --constraint requirements.txt --group benchmark
	@touch $@
