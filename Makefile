# `make run` and `make test` do all of their own set-up on Debian 12 with Python 3.11.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-training test-coral test-triton lint types check case-study faults streams durability fuzz train evaluate protos locks clean

run: .venv/ready  ## set up, then serve
	@$(BIN)/hedgerow serve

test: .venv/ready  ## set up, then run every test
	@tools/install-test-servers
	$(BIN)/pytest

test-training: .venv-train/ready  ## the tests that need TensorFlow
	.venv-train/bin/python -m pytest --noconftest tests/edge_runtime/toolchain/test_training.py \
		tests/edge_runtime/toolchain/optimize tests/edge_runtime/toolchain/test_case_study.py tests/domains/crop_weed/test_training.py \
		tests/domains/pathology/test_training.py

test-coral: .venv-coral/ready  ## backends and domains as on an old Coral image (nothing is de-identified there)
	PYTHONPATH=$(CURDIR) .venv-coral/bin/python -m pytest --noconftest tests/domains tests/edge_runtime/backends \
		--ignore=tests/domains/deidentify \
		tests/edge_runtime/test_devices.py tests/edge_runtime/test_timing.py

test-triton: .venv/ready .venv-triton/ready  ## the Open Inference Protocol, asked by tritonclient
	PYTHONPATH=$(CURDIR) .venv-triton/bin/python -m pytest --confcutdir=tests/triton tests/triton

lint: .venv/ready  ## style, and which layer may import which
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: .venv/ready  ## strict types
	$(BIN)/mypy

check: lint types test  ## all of the above, that the protos break no client, and that the generated code is theirs
	tools/check-protos
	tools/generate-protos --check

train: .venv-train/ready  ## make train DOMAIN=pathology DATA=/path/to/data [OUT=var/models]
	.venv-train/bin/hedgerow train $(DOMAIN) --data $(DATA) --out $(or $(OUT),var/models)

models: .venv-train/ready  ## every package that ships: make models DATA=/path/to/data [OUT=var/models] [ONLY="svhn_digits ..."]
	.venv-train/bin/python -m edge_runtime.toolchain.make_models --data $(DATA) --out $(or $(OUT),var/models) \
		--script svhn_digits=benchmarks/case_study.py $(foreach model,$(ONLY),--only $(model))

case-study: .venv-train/ready  ## make case-study DATA=/path/to/data [OUT=var/case-study]: a textbook model through every step
	.venv-train/bin/python benchmarks/case_study.py --data $(DATA) --out $(or $(OUT),var/case-study)

faults: .venv/ready  ## the fault ledger: break devices and nodes under load, and count what callers notice
	$(BIN)/python benchmarks/faults.py $(if $(ONLY),--only $(ONLY))

streams: .venv/ready  ## what live streams cost and keep; `make streams ONLY=batch QUICK=1` tries one of its scenarios
	$(BIN)/python benchmarks/streams.py $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick)

durability: .venv/ready  ## that nothing accepted is lost or answered twice; `make durability ONLY=disk_full QUICK=1` tries one scenario
	$(BIN)/python benchmarks/durability.py $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick)

fuzz: .venv/ready .venv-schemathesis/ready  ## whatever OpenAPI allows and forbids, sent to a running gateway
	$(BIN)/pytest tests/contracts/test_schemathesis.py

evaluate: .venv/ready  ## make evaluate DOMAIN=pathology DATA=/path/to/data
	@$(BIN)/hedgerow evaluate $(DOMAIN) --data $(DATA)

protos: .venv/ready  ## generate code from protos/
	tools/generate-protos

locks: .venv/ready  ## bring the lock files up to date with pyproject.toml
	tools/lock

clean:
	rm -rf .venv .venv-coral .venv-peers .venv-schemathesis .venv-train .venv-triton docs/partners/typescript/node_modules

.venv/ready: requirements/dev.lock pyproject.toml tools/make-venv
	@PYTHON=$(PYTHON) tools/make-venv .venv requirements/dev.lock

.venv-coral/ready: requirements/coral-test.lock
	$(PYTHON) -m venv .venv-coral
	.venv-coral/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

docs/partners/typescript/node_modules/ready: docs/partners/typescript/package-lock.json  ## for the test of the page on TypeScript
	npm ci --silent --prefix docs/partners/typescript
	touch $@

.venv-schemathesis/ready: requirements/schemathesis.lock
	$(PYTHON) -m venv .venv-schemathesis
	.venv-schemathesis/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

.venv-triton/ready: requirements/triton.lock
	$(PYTHON) -m venv .venv-triton
	.venv-triton/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

.venv-peers/ready: requirements/peers.lock  ## the servers that benchmarks/serving.py compares with
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

.venv-train/ready: requirements/train.lock pyproject.toml tools/make-venv
	@PYTHON=$(PYTHON) tools/make-venv .venv-train requirements/train.lock
