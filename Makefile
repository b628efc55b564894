# Everything that is done with this tree. `make` alone prints what there is.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# Arguments of `make demo` and `make mutants`, e.g. make demo ARGS=--faults
ARGS ?=

.PHONY: help
help: ## Print this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Send a whole day for 48 mailboxes in about a minute and prove the sums (ARGS="--faults --keep …")
	@scripts/setup.sh demo
	@cargo build --locked
	@target/debug/warmup demo $(ARGS)

.PHONY: setup
setup: ## Install what demo and tests need, where it is missing
	@scripts/setup.sh test

.PHONY: test
test: setup ## Run all tests, on real Postgres, Redis and Postfix that they start themselves
	cargo test --locked --workspace

.PHONY: test-all
test-all: test ## Run every suite there is: also what needs Prometheus' own tool
	@scripts/setup.sh test-all
	cargo test --locked --test promtool

.PHONY: lint
lint: ## Check format and lints
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

.PHONY: fmt
fmt: ## Format the tree
	cargo fmt --all

.PHONY: mutants
mutants: setup ## Break each guard in a copy and demand that exactly its tests fail (ARGS="--only NAME" or --list)
	cargo run --locked --package warmup-support --bin mutants -- $(ARGS)

.PHONY: bench
bench: ## Print what one mail on loopback takes
	cargo bench --locked --profile dev --bench one_mail
