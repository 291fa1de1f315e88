# make run    a fresh machine to the app in the browser, on the bundled demo set
# make test   the same set-up, then every test
# make setup  only the virtual environment
# make lint   style checks;  make lock  renew requirements.lock

VENV   := .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
READY  := $(VENV)/installed

.PHONY: run test test-fast must-show setup lint lock clean
.DEFAULT_GOAL := run

run: setup
	@echo "== opening Stillroom on the demo set; stop it with Ctrl-C"
	@$(BIN)/python -m app data/demo/FashionMNIST-LT_DM_20ipc $(ARGS)

test: setup
	@echo "== running every test, the fast ones first"
	@$(BIN)/python -m pytest $(ARGS)

test-fast: setup
	@echo "== running the tests that take seconds"
	@$(BIN)/python -m pytest -m "not slow and not browser" $(ARGS)

must-show: setup
	@echo "== running the tests that take many minutes each: 16 people with 200 decisions each, 50 kills"
	@$(BIN)/python -m pytest -m long $(ARGS)

setup: $(READY)

# Nothing is asked of the network once the lock file is installed: the marker is newer than it.
$(READY): requirements.lock
	@echo "== making $(VENV) and installing requirements.lock (a few minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@touch $@
	@echo "== installed"

lint: setup
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

lock: requirements.txt
	@echo "== resolving requirements.txt in a scratch environment"
	@rm -rf build/lock && $(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@{ echo "# Made by 'make lock' from requirements.txt; installed by 'make setup' and by the Dockerfile."; \
	   build/lock/bin/python -m pip freeze --all --exclude pip --exclude setuptools | sed -E 's/\+cpu$$//'; } > requirements.lock
	@rm -rf build/lock

clean:
	@rm -rf $(VENV) build .pytest_cache .ruff_cache
