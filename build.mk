# Building and deploying, included by the Makefile. The SAM CLI is large and brings its own pins, so it has
# a virtual environment to itself and is installed on the first build.
PYTHON ?= python3
ENV    ?= default
SAM    ?= .venv-sam/bin/sam
# In CI nobody is there to confirm a change set; a person is shown it where samconfig.toml says so.
UNATTENDED := $(if $(filter true 1,$(CI)),--no-confirm-changeset --no-fail-on-empty-changeset)

build deploy: export PATH := $(CURDIR)/.venv-sam/bin:$(PATH)
build deploy: export SAM_CLI_TELEMETRY := 0
# Read by the layers' Makefiles.
build deploy: export PYTHON := $(PYTHON)
build deploy: export RUNTIME_PYTHON := $(RUNTIME_PYTHON)
build deploy: export CHECK_WHEELS := $(CURDIR)/layers/wechat_notify/check_wheels.py

.venv-sam/.done: requirements/build.txt
	@echo "Setting up .venv-sam (once)"
	@$(PYTHON) -m venv --clear .venv-sam
	@# The lock names every dependency; pip would look for them again, and trips over a pin with extras.
	@.venv-sam/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/build.txt
	@touch $@

.PHONY: build
build: .venv-sam/.done ## build the functions and the layers, for both architectures, into .aws-sam
	@$(SAM) build
	@# A ParentPackages setting that SAM does not understand is ignored in silence: look at the result.
	@for handler in functions/*/handler.py; do \
		ls .aws-sam/build/*Function/$$handler >/dev/null || { echo "$$handler was not built under its package" >&2; exit 1; }; \
	done

.PHONY: deploy
deploy: .venv-sam/.done ## deploy to one environment of samconfig.toml, e.g. make deploy ENV=staging
	@.venv-sam/bin/python -m operations.preflight --env '$(ENV)'
	@$(MAKE) --no-print-directory build
	@.venv-sam/bin/python -m operations.versions --env '$(ENV)' .aws-sam/build/template.yaml
	@.venv-sam/bin/python -m operations.retention --env '$(ENV)' .aws-sam/build/template.yaml
	@$(SAM) deploy --config-env '$(ENV)' $(UNATTENDED)
