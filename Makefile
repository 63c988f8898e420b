# `make` lists the targets. Every target sets up what it needs, and is quick when that is there already.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:
.PHONY: demo test conformance soak lint bench images lock clean distclean help venv engine python

PYTHON ?= python3
PYTEST_ARGS ?=
LOCKS := recast_dm/locks
ANALYSIS := atlas-exot-2018-06
DEMO_IMAGES := atlas-exot-2018-06 monojet-pyhf
CAPSULE := build/$(ANALYSIS).capsule
SCRIPTS := containers/*.sh tests/tools.sh .ci/run
export PATH := $(CURDIR)/.venv/bin:$(PATH)

# Says a command, then runs it.
SAID = run() { printf '\n$$ %s\n' "$$*" >&2; "$$@"; }
RUN = @$(SAID); run

# One runtime for the images, the capture and the runs: docker where it answers, else the sandbox.
ON = @export RECAST_DM_RUNTIME="$$(containers/engine.sh name)"; $(SAID);

# A virtual environment knows its own path: in a checkout that was moved it is made anew.
ifneq ($(shell cat .venv/.locked 2>/dev/null),$(CURDIR))
$(shell rm -f .venv/.locked)
endif

help: ## list the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

demo: venv engine ## set everything up; capture the ATLAS monojet search, run it, rerun it under a new model
	$(ON) containers/build.sh $(DEMO_IMAGES)
	$(ON) run recast-dm capture specs/$(ANALYSIS) -o $(CAPSULE)
	$(ON) run recast-dm run $(CAPSULE)
	$(ON) run recast-dm rerun $(CAPSULE) --model spin1-axial --set m_med=2000 --set m_dm=1

test: venv images ## set everything up; run all tests (more arguments: make test PYTEST_ARGS="-k toy")
	@tests/tools.sh
	$(ON) containers/build.sh tests/containers/*/
	$(RUN) python -m pytest $(PYTEST_ARGS)

conformance: venv images ## the corpus and generated workflows on upstream yadage and on our engine
	$(ON) containers/build.sh tests/containers/*/
	$(RUN) python -m tests.conformance

soak: venv images ## every long campaign to its total, going on where it stopped
	$(ON) containers/build.sh tests/containers/*/
	$(RUN) python -m tests.soak

lint: venv ## ruff, mypy, import-linter, shellcheck
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) lint-imports
	$(RUN) shellcheck $(SCRIPTS)

bench: venv images ## time what is claimed to be fast
	$(RUN) python -m tests.bench

images: venv engine ## build the container images that are missing or out of date
	$(ON) containers/build.sh

engine: # docker, or else the sandbox: something that starts containers
	@containers/engine.sh

# --- the virtual environment: exactly what the lock names, then recast-dm itself, editable ----------------------------

venv: .venv/.ready

.venv/.ready: .venv/.locked pyproject.toml
	@echo "venv: installing recast-dm (editable)" >&2
	@pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index --editable .
	@touch $@

.venv/.locked: $(LOCKS)/dev.txt | python
	@echo "venv: making .venv from $< (about half a minute)" >&2
	@$(PYTHON) -m venv --clear .venv
	@pip install --disable-pip-version-check --no-deps --require-hashes -r $< | sed -nu 's/ (from .*//; s/^Collecting /venv:   /p' >&2 \
	  || { echo "venv: pip could not install the locked packages; its reason is above. Check the network (and pip's index-url, proxy and cert settings) and the free space, then repeat your command" >&2; exit 6; }
	@echo "$(CURDIR)" >$@

# Debian keeps venv's pip in a package of its own.
python:
	@command -v $(PYTHON) >/dev/null || { echo "venv: there is no $(PYTHON). Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 4; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "venv: $$($(PYTHON) --version) is too old: recast-dm needs Python 3.11 or newer. Name one: make PYTHON=/path/to/python3" >&2; exit 4; }
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
	  package=$$($(PYTHON) -c 'import sys; print(f"python3.{sys.version_info.minor}-venv")'); \
	  if [ "$$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then \
	    echo "venv: $(PYTHON) cannot make virtual environments; installing the Debian package $$package" >&2; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$package >&2 </dev/null \
	      || { echo "venv: apt-get failed; its reason is above. Mend it, then repeat your command" >&2; exit 4; }; \
	  else \
	    echo "venv: $(PYTHON) cannot make virtual environments. Run this once, then repeat your command:" >&2; \
	    echo "    sudo apt-get install --yes $$package" >&2; exit 4; \
	  fi; \
	fi

# --- locks: versions and hashes, no index and no host -----------------------------------------------------------------

COMPILE = uv pip compile --quiet --upgrade --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock"

lock: venv ## resolve every requirement anew and write the hash-locked files
	$(RUN) $(COMPILE) --universal pyproject.toml --output-file $(LOCKS)/runtime.txt
	$(RUN) $(COMPILE) --universal pyproject.toml --group dev --constraint $(LOCKS)/runtime.txt --output-file $(LOCKS)/dev.txt
	$(RUN) $(COMPILE) --universal --group pyproject.toml:tool-build --output-file $(LOCKS)/tool-build.txt
	$(RUN) $(COMPILE) --universal --group pyproject.toml:tool-yadage --output-file $(LOCKS)/tool-yadage.txt
	$(RUN) $(COMPILE) --universal --group pyproject.toml:tool-reana-client --output-file $(LOCKS)/tool-reana-client.txt
	$(RUN) $(COMPILE) --universal --group pyproject.toml:tool-snakemake --output-file tests/bench/locks/tool-snakemake.txt
	$(RUN) $(COMPILE) --universal --group pyproject.toml:tool-cwltool --output-file tests/bench/locks/tool-cwltool.txt
	$(RUN) $(COMPILE) --universal --group pyproject.toml:tool-jax --output-file tests/bench/locks/tool-jax.txt
	$(RUN) $(COMPILE) --universal --group pyproject.toml:tool-validators --output-file tests/locks/tool-validators.txt
	$(RUN) $(COMPILE) containers/pip.in --output-file containers/pip.txt
	@for source in containers/*/requirements.in tests/containers/*/requirements.in; do \
	  [ -e "$$source" ] || continue; \
	  echo "$$ lock $$source" >&2; \
	  $(COMPILE) --only-binary :all: --python-platform x86_64-manylinux_2_28 "$$source" --output-file "$${source%.in}.txt"; \
	done

clean: ## remove build/: capsules, runs, wheels, logs (images and .venv stay)
	rm -rf build

distclean: clean ## remove .venv too
	rm -rf .venv
