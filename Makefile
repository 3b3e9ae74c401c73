# The commands of this project. `make` alone lists them.
PYTHON ?= python3
ENV    ?= default
VENV   := .venv
BIN    := $(VENV)/bin
SAM    := .venv-sam/bin/sam

# Python 3.13 is what Lambda runs: where it is installed, the laptop's workers use it and the tests run on it too.
RUNTIME_PYTHON ?= $(shell for python in python3.13 "$$HOME"/.pyenv/versions/3.13*/bin/python3.13; do \
	"$$python" -c '' 2>/dev/null && command -v "$$python" && break; done)
export RUNTIME_PYTHON

# When this command began, in seconds since 1970: the demo tells how long the first message took.
BEGAN := $(shell date +%s)

# Byte code is kept, wherever the environment says otherwise: hundreds of processes of the tests import the same.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo up check lint types architecture template test test-modules test-stacks test-service test-runtime simulate chaos rehearse fuzz mutants bench cost openapi error-pages command-pages \
	docs lock clean scan scan-template scan-nag scan-code scan-secrets scan-libraries secrets sbom

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: $(VENV)/.local ## the whole service on this machine: every door, a broadcast of 2,000 rows, and tables at the end (100 s)
	@$(BIN)/python -m local.demo --began $(BEGAN)

up: $(VENV)/.local ## the whole service on this machine until Ctrl-C, with the data of last time (FRESH=1: without)
	@$(BIN)/python -m local up

# While pip fills one environment, which takes one processor, the other one scans. The tests of the stack wait a lot,
# and have timeouts: the others take what they leave of the processors.
check: ## everything that CI checks
	@$(MAKE) --no-print-directory -j 2 -O setup scan-code scan-secrets scan-libraries sbom docs \
		lint types architecture template scan-template scan-nag
	@$(MAKE) --no-print-directory -j 4 -O test-service test-stacks test-modules test-runtime

setup: $(VENV)/.done ## install what the other commands need into .venv

# The demo and the stack need less than half of what the checks do.
$(VENV)/.local: requirements/local.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=... " >&2; exit 1; }
	@$(PYTHON) -m local.install $(VENV) requirements/local.txt
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s" -m wxn "$$@"\n' '$(CURDIR)/cli' '$(CURDIR)/$(BIN)/python' > $(BIN)/wxn
	@chmod +x $(BIN)/wxn
	@touch $@

$(VENV)/.done: requirements/dev.txt $(VENV)/.local
	@$(PYTHON) -m local.install --add $(VENV) requirements/dev.txt
	@touch $@

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: setup
	@$(BIN)/mypy

architecture: setup
	@PYTHONPATH=.:cli:layers/wechat_notify $(BIN)/lint-imports --no-logo > .venv/architecture.txt 2>&1 || \
		{ cat .venv/architecture.txt; exit 1; }

# All three partitions. GovCloud has no API destinations, on which two of the examples stand.
REGIONS := us-east-1 eu-west-1 ap-east-1 cn-north-1 cn-northwest-1

template: setup
	@$(BIN)/cfn-lint --include-checks I --regions $(REGIONS) us-gov-west-1 us-gov-east-1 -- template.yaml
	@$(BIN)/cfn-lint --include-checks I --regions $(REGIONS) -- $(filter-out template.yaml,$(TEMPLATES))
	@! echo 'Resources: {Planted: {Type: AWS::SQS::Queue, Properties: {Unknown: 1}}}' | $(BIN)/cfn-lint - >/dev/null 2>&1 || \
		{ echo "cfn-lint does not find a property that does not exist" >&2; exit 1; }

TEMPLATES := template.yaml operations/audit-trail.yaml $(wildcard events/examples/*.yaml)

# checkov brings pins of its own.
.venv-scan/.done: requirements/scan.txt
	@$(PYTHON) -m local.install .venv-scan requirements/scan.txt
	@touch $@

scan: scan-template scan-nag scan-code scan-secrets scan-libraries ## scanners on the template, the code, the files and the libraries

.PHONY: templates
templates: setup
	@PYTHONPATH=. $(BIN)/python -m scanners.transform $(TEMPLATES) > $(VENV)/templates.json

scan-template: templates .venv-scan/.done
	@.venv-scan/bin/python -m scanners.template $(VENV)/templates.json

# 276 MB, and 213 that jsii unpacks. It warns of the versions of Node that it takes for old, each time.
.venv-nag/.done: requirements/nag.txt
	@$(PYTHON) -m local.install .venv-nag requirements/nag.txt
	@touch $@

NODE := $(shell command -v node 2>/dev/null)
scan-nag: templates $(if $(NODE),.venv-nag/.done)
ifneq ($(NODE),)
	@JSII_RUNTIME_PACKAGE_CACHE_ROOT=.venv-nag/jsii .venv-nag/bin/python -m scanners.nag $(VENV)/templates.json > .venv-nag/nag.txt 2>&1 || { cat .venv-nag/nag.txt; exit 1; }
else
	@echo "cdk-nag is left out: it needs Node"
endif

CODE := benchmarks cli command_pages error_pages functions layers local openapi operations scanners
scan-code: .venv-scan/.done
	@.venv-scan/bin/bandit --quiet --recursive $(CODE) > .venv-scan/bandit.txt 2>&1 || { cat .venv-scan/bandit.txt; exit 1; }
	@! echo 'eval(input())' | .venv-scan/bin/bandit --quiet - >/dev/null 2>&1 || { echo "bandit does not find an eval" >&2; exit 1; }

scan-secrets: .venv-scan/.done
	@.venv-scan/bin/python -m scanners.secrets

scan-libraries: .venv-scan/.done
	@.venv-scan/bin/python -m scanners.libraries $(LAYERS:%=layers/%/requirements.txt)

secrets: .venv-scan/.done ## take what looks like a secret now as known to be none: look at the diff of .secrets.baseline
	@.venv-scan/bin/python -m scanners.secrets --renew

LAYERS := wechat_notify callback
sbom: .venv-scan/.done ## bills of materials of the layers (CycloneDX), into sbom
	@mkdir -p sbom
	@for layer in $(LAYERS); do \
		.venv-scan/bin/cyclonedx-py requirements layers/$$layer/requirements.txt --schema-version 1.6 \
			--output-reproducible --outfile sbom/$$layer.cdx.json || exit 1; done

# Two at a time; the tests of one file stay together, for they share what is dear to make.
PYTEST := -m pytest -q -n 2 --dist loadfile

test: test-modules ## the tests, with this Python
	@$(MAKE) --no-print-directory -j 2 -O test-stacks test-service

test-modules: setup
	@nice -n 19 $(BIN)/python $(PYTEST) --ignore tests/e2e

# Side by side, since both wait a lot; not by xdist, to which all routes that are fuzzed have one name.
test-stacks:
	@$(BIN)/python -m pytest -q tests/e2e/test_stack.py

test-service: .venv-docs/.done
	@$(BIN)/python -m pytest -q tests/e2e --ignore tests/e2e/test_stack.py

# They read documents and the template, which no Python runs.
ABOUT_TEXTS := tests/unit/test_docs.py tests/unit/test_translations.py tests/unit/test_well_architected.py \
	tests/unit/test_template.py tests/unit/test_check_wheels.py

# The service's own code on the Python of the Lambda runtime, and the command line's. The adapters meet it in the
# end-to-end tests, whose workers run it.
test-runtime: setup
ifneq ($(RUNTIME_PYTHON),)
	@test -e .venv-runtime/.done -a .venv-runtime/.done -nt requirements/runtime.txt || { \
		"$(RUNTIME_PYTHON)" -m local.install .venv-runtime requirements/runtime.txt && \
		touch .venv-runtime/.done; }
	@nice -n 19 .venv-runtime/bin/python -m pytest -q tests/unit/core tests/unit/functions tests/unit/wechat tests/unit/wxn \
		$(filter-out $(ABOUT_TEXTS),$(wildcard tests/unit/test_*.py))
else
	@echo "Python 3.13 is not installed: its test run is left out"
endif

MESSAGES ?= 100000
SEED     ?= 1
simulate: setup ## the handlers and the core in virtual time, with faults: MESSAGES messages from SEED
	@PYTHONPATH=.:layers/wechat_notify $(BIN)/python -m tests.simulation --messages $(MESSAGES) --seed $(SEED)

chaos: setup ## the same over real sockets, against the simulator: MESSAGES messages from SEED
	@PYTHONPATH=.:layers/wechat_notify $(BIN)/python -m tests.chaos --seed $(SEED) \
		--messages $(if $(filter file,$(origin MESSAGES)),20000,$(MESSAGES))

.venv-mutants/.done: requirements/mutants.txt
	@$(PYTHON) -m local.install .venv-mutants requirements/mutants.txt
	@touch $@

# RECORD=1 keeps what the release leaves as the fixture of tests/upgrade.
rehearse: setup ## an upgrade from the release FROM=<commit>, and a rollback to it: with its own code, on both sides
	@PYTHONPATH=.:layers/wechat_notify $(BIN)/python -m tests.upgrade.rehearse $(if $(RECORD),--record) '$(FROM)'

MUTANTS ?= 400
mutants: .venv-mutants/.done ## small changes to the core that no test notices: MUTANTS of them (or all) from SEED
	@.venv-mutants/bin/python -m tests.mutants --mutants $(MUTANTS) --seed $(SEED)

.venv-fuzz/.done: requirements/fuzz.txt
	@"$(or $(RUNTIME_PYTHON),$(PYTHON))" -m local.install .venv-fuzz requirements/fuzz.txt
	@touch $@

SECONDS ?= 60
fuzz: .venv-fuzz/.done ## callbacks of any bytes, guided by coverage, for SECONDS from SEED; REPEAT=.fuzz/… repeats a finding
	@PYTHONPATH=.:layers/wechat_notify .venv-fuzz/bin/python -m tests.fuzz --seconds $(SECONDS) --seed $(SEED) $(REPEAT)

# Python 3.13 where there is one: what is measured then is what Lambda runs.
.venv-bench/.done: requirements/benchmarks.txt
	@"$(or $(RUNTIME_PYTHON),$(PYTHON))" -m local.install .venv-bench requirements/benchmarks.txt
	@touch $@

# QUICK=1: one round of little, in a minute; it takes the layer as it was built last and leaves docs alone.
bench: .venv-bench/.done ## measure against wechatpy, requests and naive handlers; renews docs/performance.md and docs/cost.md
ifeq ($(QUICK),)
	@$(MAKE) --no-print-directory build
endif
	@PYTHONPATH=.:layers/wechat_notify .venv-bench/bin/python -m benchmarks $(if $(QUICK),--quick) $(BENCH)

cost: setup ## renew docs/cost.md and docs/zh/cost.md from the last results
	@$(BIN)/python -m benchmarks.cost_page

openapi: setup ## renew docs/openapi.json, docs/problems.md in both languages, events/schemas and the problems of wxn explain
	@PYTHONPATH=.:layers/wechat_notify $(BIN)/python -m openapi

error-pages: setup ## renew docs/error-codes.md, the same in Chinese, and the data of wxn explain
	@PYTHONPATH=.:layers/wechat_notify $(BIN)/python -m error_pages

# The builder of the site, and the aws command for the tests that run the documents.
.venv-docs/.done: requirements/docs.txt
	@$(PYTHON) -m local.install .venv-docs requirements/docs.txt
	@touch $@

docs: .venv-docs/.done ## build the documentation's site into site/; a link or an anchor that leads nowhere fails
	@.venv-docs/bin/zensical build --clean --strict > .venv-docs/site.txt 2>&1 || { cat .venv-docs/site.txt; exit 1; }
	@mkdir site/events && cp -R events/schemas events/published events/examples site/events  # docs/events.md links to them
	@! grep -rnE '<(script|link|img)[^>]* (src="?https?:|href="?https?:)' --include '*.html' site || \
		{ echo "A page must load nothing from another server" >&2; exit 1; }

command-pages: setup ## renew docs/wxn.md and the same in Chinese from the commands of wxn
	@PYTHONPATH=.:cli $(BIN)/python -m command_pages --lang en > docs/wxn.md
	@PYTHONPATH=.:cli $(BIN)/python -m command_pages --lang zh > docs/zh/wxn.md

lock: setup ## renew the locked requirements
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@for name in layers/wechat_notify/requirements layers/callback/requirements requirements/local requirements/dev requirements/runtime requirements/benchmarks requirements/build \
		requirements/mutants requirements/fuzz requirements/docs requirements/scan requirements/nag; do \
		$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
			--no-emit-index-url --no-annotate --no-header $$name.in -o $$name.txt; done

clean: ## remove what these commands made
	rm -rf .venv .venv-runtime .venv-sam .venv-bench .venv-mutants .venv-fuzz .venv-docs .venv-scan .venv-nag sbom .mutants .fuzz .local site .cache .aws-sam .mypy_cache .ruff_cache .pytest_cache .hypothesis

include build.mk
