# The four commands a person needs. Each sets up .venv by itself on a machine that has Python 3.11+
# and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TAPS ?=
CHAOS ?=
READER ?=
DEMO_CARDS ?= 100000

.PHONY: demo test test-machine check cover bench deb screenshots lock clean
.DEFAULT_GOAL := help
help:
	@echo "make demo    a city and one gate with simulated hardware, live, until Ctrl-C, and a"
	@echo "             turnstile to play with in a browser; it prints the address (TAPS=200 has no"
	@echo "             turnstile, runs that many and stops; TAPS=2000 CHAOS=1 without a network in"
	@echo "             the first half, and with kill -9 in the second;"
	@echo "             READER=rcs380 or pcsc: the turnstile's reader is a simulated USB device)"
	@echo "make test    every test that this machine can run"
	@echo "make test-machine  simulated devices on the real Linux kernel in qemu, as every night"
	@echo "make check   ruff, mypy strict, import-linter, words, sizes"
	@echo "make deb     Debian packages of gate, back office and simulators, in build/deb"
	@echo "make bench   latency, memory, start-up; writes build/bench.json"

# A stamp is newer than its lock file only when every pinned package is installed. A .venv that an
# interrupted set-up left is made again: pip cannot repair one without pip, or of a Python that is
# gone.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
OFFLINE := echo "turnike: the packages could not be installed; the first run needs the internet \
	(or PIP_INDEX_URL, a proxy in HTTPS_PROXY). Run the same command again" >&2; exit 2

$(VENV)/.run: requirements/run.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "turnike: $(PYTHON) is missing or older than 3.11; name a newer one:" \
			"make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
		rm -rf $(VENV) && $(PYTHON) -m venv $(VENV); } || { \
		rm -rf $(VENV); \
		echo "turnike: $(PYTHON) cannot make a virtual environment in $(CURDIR)/$(VENV);" \
			"on Debian: apt-get install python3-venv" >&2; exit 2; }
	@echo "turnike: setting up $(VENV): $$(grep -c == requirements/run.lock) packages from PyPI," \
		"a minute or two the first time"
	@$(INSTALL) --require-hashes -r requirements/run.lock || { $(OFFLINE); }
	@$(INSTALL) --no-deps --no-build-isolation --editable . || { $(OFFLINE); }
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.run
	@echo "turnike: adding what tests need: $$(grep -c == requirements/dev.lock) packages with" \
		"those that are here, a minute"
	@$(INSTALL) --require-hashes -r requirements/dev.lock || { $(OFFLINE); }
	@touch $@

demo: $(VENV)/.run
	@$(BIN)/turnike demo --cards $(DEMO_CARDS) $(if $(TAPS),--taps $(TAPS)) $(if $(CHAOS),--chaos) \
		$(if $(READER),--reader $(READER))

# Most of what tests do is waiting for real time to pass: four share two processors well.
test: $(VENV)/.dev
	@echo "turnike: every test that this machine can run; about a quarter of an hour on two processors"
	$(BIN)/python -m pytest -n 4 --dist worksteal

# Nightly, not at each push: the real kernel in an emulator (README.md in tests/machine).
test-machine: $(VENV)/.dev
	@echo "turnike: simulated devices on the real Linux kernel in qemu; 24 minutes"
	timeout --kill-after=60 3600 $(BIN)/python -m pytest tests/machine

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.words
	$(BIN)/python -m tools.sizes

# What the tests that run in this process reach; the processes that others start are not counted.
cover: $(VENV)/.dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q tests/unit tests/properties tests/state_machines \
		tests/simulation/lane/test_whole_lane.py
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --skip-covered

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

# Each for bookworm and trixie, amd64 and arm64: 12 packages, 7 minutes. SUITE, ARCH and PACKAGE
# choose.
deb: $(VENV)/.dev
	$(BIN)/python -m tools.deb $(if $(SUITE),--suite $(SUITE)) $(if $(ARCH),--architecture $(ARCH)) \
		$(if $(PACKAGE),--package $(PACKAGE))

# The pictures of the turnstile's page in docs/: needs Chromium.
screenshots: $(VENV)/.dev
	$(BIN)/python -m tests.browser.screenshots

# New pins: needs uv; the files name no package host.
PINS := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate --all-extras
lock:
	$(PINS) pyproject.toml requirements/build.in -o requirements/run.lock
	$(PINS) --group dev pyproject.toml requirements/build.in -c requirements/run.lock \
		-o requirements/dev.lock

clean:
	rm -rf $(VENV) build *.egg-info
