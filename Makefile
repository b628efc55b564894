# Everything that is done with this tree. `make` alone prints what there is.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# Arguments of `make demo`, `make mutants` and `make bench-api`, e.g. make demo ARGS=--faults
ARGS ?=

# Of `make sim`: how many seeds, or which one, and whether each of its statements is told (ALOUD=1).
SEEDS ?= 200
SEED ?=
ALOUD ?=

# Of `make upgrade`: the tag or commit to upgrade from.
PREVIOUS ?=

# Workers of `make fleet`, and the mailboxes that it is to have.
N ?= 4
CSV ?=

.PHONY: help
help: ## Print this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Send a whole day for 48 mailboxes in about a minute and prove the sums (ARGS="--faults --keep …")
	@scripts/setup.sh demo
	@cargo build --locked
	@target/debug/warmup demo $(ARGS)

.PHONY: fleet
fleet: ## Run N workers with servers of their own on this machine, until Ctrl-C (N=4 CSV=mailboxes.csv ARGS="--data DIR")
	@scripts/setup.sh demo
	@cargo build --locked
	@target/debug/warmup local-fleet --workers $(N) $(if $(CSV),--import $(CSV)) $(ARGS)

.PHONY: setup
setup: ## Install what demo and tests need, where it is missing
	@scripts/setup.sh test

.PHONY: test
test: setup ## Run all tests, on real Postgres, Redis and Postfix that they start themselves
	cargo test --locked --workspace

.PHONY: test-all
test-all: test ## Run every suite there is: also what needs Prometheus' own tool, schemathesis, a collector, a browser
	@scripts/setup.sh test-all
	@scripts/tools.sh
	cargo test --locked --test promtool --test schema --test deploy --test traces --test browser --test quickstart

.PHONY: lint
lint: ## Check format and lints
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

.PHONY: fmt
fmt: ## Format the tree
	cargo fmt --all

.PHONY: mutants
mutants: setup ## Break each guard in a copy and demand that its tests fail (ARGS="--only NAME" or --list)
	cargo run --locked --package warmup-support --bin mutants -- $(ARGS)

.PHONY: capacity
capacity: ## Simulate the fleets that deploy/env is for, up to 100,000 mailboxes on ten workers (some minutes)
	cargo bench --locked --bench capacity

.PHONY: sim
sim: ## Simulate fleets in trouble, one for each seed, and check every invariant at every event (SEEDS=200, or SEED=17 for one)
	SEEDS=$(SEEDS) SEED=$(SEED) ALOUD=$(ALOUD) cargo test --locked --test sim -- --nocapture --exact seeded::every_invariant_holds_at_every_event_of_every_seed

.PHONY: upgrade
upgrade: ## Upgrade a fleet of the previous release's workers while it sends (PREVIOUS=v1.2.3, or else the newest before this)
	@scripts/setup.sh test
	PREVIOUS=$(PREVIOUS) cargo test --locked --test upgrade -- --nocapture

.PHONY: bench-api
bench-api: ## Ask every endpoint of a fleet of 100,000 mailboxes, by 50 clients at once, and print how long it took (minutes; ARGS=search for those with that in their path)
	@scripts/setup.sh bench
	@cargo build --locked --release
	cargo bench --locked --bench api -- $(ARGS)

.PHONY: bench
bench: ## Measure everything side by side and print one table, then the API (ARGS="send plan" for parts; some minutes)
	@scripts/setup.sh bench
	@cargo build --locked --release
	cargo bench --locked --bench side_by_side -- $(ARGS)
	$(if $(ARGS),,cargo bench --locked --bench api)
