# Everything a newcomer needs: `make demo` and `make test` set themselves up in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.ready

.PHONY: demo test faults bench gates clean

demo: $(STAMP)  ## run the example agent
	$(BIN)/python -m examples.agent

test: $(STAMP)  ## the tests, as CI runs them
	OTELKIT_RERAISE=1 $(BIN)/python -m pytest -n 2 --dist loadfile tests

faults: $(STAMP)  ## the fault suite whole (make faults SIZE=short: seven minutes)
	OTELKIT_FAULTS=$(or $(SIZE),full) OTELKIT_RERAISE=1 $(BIN)/python -m pytest tests/faults

bench: $(STAMP)  ## costs as ratios to the plain SDK
	$(BIN)/python -m benchmarks

gates: $(STAMP)  ## style, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade "pip>=25.1"
	$(BIN)/python -m pip install -q -e ".[fastapi,cli]" --group test --group faults --group gates
	touch $(STAMP)

clean:  ## remove what the targets made
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis dist .coverage*
