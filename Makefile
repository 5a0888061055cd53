# The words of this house. ARGS passes on: make test ARGS="tests/test_levels.py -k order", make demo ARGS=--once
ARGS ?=
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help setup test check demo bench prove

help: ## what there is to make
	@sed -n 's/^\([a-z]*\):.* ## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## .venv with tocsin and all it needs (python3 >= 3.11)
	@deploy/setup.sh

test: setup ## the tests, with real Mosquitto, InfluxDB and Chromium
	@deploy/debian-packages.sh tests
	.venv/bin/python -m pytest $(ARGS)

check: setup ## style, types, layers, documents
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/python -m pytest -q -m docs tests

demo: setup ## a storm in compressed time, from the sensors to the people
	@.venv/bin/tocsin demo $(ARGS)

bench: setup ## the measurements
	@deploy/setup.sh bench
	.venv/bin/python -m benchmarks $(ARGS)

prove: setup ## the tests with big counts: long
	@deploy/debian-packages.sh tests
	.venv/bin/python -m pytest --prove -o faulthandler_timeout=7200 $(ARGS)
