# Two commands for a new machine: `make demo` and `make test`. Each makes its own virtual environment first.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: help demo demo-full test check docs format slow measurements clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: .venv/installed ## Synthesise a small music world, benchmark it, write demo/run/report.html
	$(BIN)/timbrec demo demo

demo-full: .venv/installed ## The demo with full trainings, all seeds and controls; takes hours
	$(BIN)/timbrec demo demo-full --full

test: check ## Check the code, then run the tests; PYTEST=... adds options
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 $(PYTEST)

check: .venv/dev ## Lint, format, types and import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/dev ## The documentation site, in site/; a warning is an error
	$(BIN)/mkdocs build --strict

format: .venv/dev ## Rewrite the code as the formatter wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

slow: .venv/dev ## The tests that take minutes
	$(BIN)/pytest -m slow -vv --durations 20  # names each test before it starts

measurements: .venv/dev ## Speed and memory, as ratios measured in one run; see measurements/README.md
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[measurements]'
	for name in ranking metrics split store_open shallow contrastive hybrid bert4rec; do $(BIN)/python measurements/$$name.py || exit 1; done

clean: ## Remove the virtual environment and the demo
	rm -rf .venv demo demo-full site

# torch goes first: its pinned version then satisfies everything that asks for torch.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "timbrec needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[encoders,probes,spectral]'
	$(BIN)/timbrec weights get musicnn
	$(BIN)/python -c 'import librosa; librosa.stft'  # compiles it once, here and not in the demo
	@touch $@

.venv/dev: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
