# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The same flags in every place: another flag would build everything anew.
SWIFT_FLAGS := --explicit-target-dependency-import-check error
# Static against glibc too (--static-swift-stdlib would not be). With symbols, since profilers need the names; without DWARF,
# which nothing here reads and which was more than half of the file.
RELEASE_FLAGS := -c release --product legation -Xswiftc -static-executable -debug-info-format none
STAGE := Scripts/stage

export LEGATION_BINARY ?= $(CURDIR)/build/legation
export SWIFT_FLAGS

.NOTPARALLEL:
.PHONY: help needs build release image check unit integration test demo demo-article soak bench robustness docs rows fuzz slow sanitize callgrind clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | while IFS=$$'\t' read -r name text; do \
		printf '  make %-13s %s\n' "$$name" "$$text"; done

needs: ## install what tests and demos need: etcd, Redis, Docker Engine, Podman and small tools
	@$(STAGE) needs Scripts/install-needs

build: ## build everything for debugging, tests included
	@$(STAGE) 'build debug' swift build $(SWIFT_FLAGS) --build-tests

release: ## build the static release binary: build/legation
	@LEGATION_COMMIT="$$(Scripts/version)" $(STAGE) 'build release' swift build $(SWIFT_FLAGS) $(RELEASE_FLAGS)
	@mkdir -p build
	@cp --remove-destination .build/release/legation build/legation

image: release ## build the image legation:latest with the Docker Engine of this machine
	@Scripts/images legation

check: build release ## check format, import directions, house rules, licences, links
	@$(STAGE) check Scripts/check

unit: build ## run the unit tests
	@$(STAGE) unit Scripts/test unit

integration: needs build release ## run the tests that drive the release binary with real etcd and Redis
	@$(STAGE) integration Scripts/test integration

test: needs build release ## run all tests; ends with the real parts that they used
	@Scripts/test all

demo: needs release ## show the main job on a real etcd and Redis (BREAK=proxy|register|redis makes it fail)
	@Scripts/demo

demo-article: needs release ## show the article of 2014 on two hosts with engines, by links and by a network
	@Scripts/demo-article link
	@Scripts/demo-article network

soak: needs build release ## ten minutes of traffic and random faults of etcd and others (LEGATION_SOAK_SECONDS)
	@$(STAGE) soak Scripts/soak

bench: needs build release ## measure changes, and the relay beside its peers (QUICK=1: one short round): docs/benchmark.md
	@$(STAGE) bench Scripts/bench
	@$(STAGE) 'peers of the relay' Scripts/install-bench-peers
	@$(STAGE) 'bench of the relay' Scripts/bench-relay $(if $(QUICK),--quick)

robustness: needs release ## bring faults about for Legation, HAProxy and nginx: docs/robustness.md has what was seen
	@$(STAGE) 'install peers' Scripts/install-bench-peers
	@$(STAGE) robustness Scripts/robustness

docs: needs release ## type every command of every page of docs/, and compare what it prints
	@$(STAGE) docs bash -ec 'for page in docs/*.md; do Scripts/docs-run "$$page"; done'

rows: ## list the faults of docs/faults.md that no test shows yet
	@Scripts/rows

fuzz: build ## write registries by somebody who means harm, for ten minutes (LEGATION_FUZZ_SECONDS, LEGATION_FUZZ_SEED)
	@LEGATION_FUZZ_SECONDS=$${LEGATION_FUZZ_SECONDS:-600} $(STAGE) fuzz Scripts/test fuzz

slow: needs build release sanitize callgrind ## what is too slow for every commit: sanitizers, callgrind, peers that vanish, etcd 3.5, Docker 26, a flood of containers, a soak of 15 minutes
	@$(STAGE) 'slow tests' Scripts/test slow
	@$(STAGE) 'etcd 3.5.16' Scripts/install-etcd-3.5.16
	@LEGATION_ETCD_VERSION=3.5.16 $(STAGE) 'faults of 3.5.16' Scripts/test etcd
	@$(STAGE) 'Docker 26' Scripts/install-docker-26
	@LEGATION_ENGINE_ROOT=$(CURDIR)/build/docker-26 $(STAGE) 'tests on Docker 26' Scripts/test engine
	@LEGATION_SOAK_SECONDS=$${LEGATION_SOAK_SECONDS:-900} Scripts/soak

sanitize: ## run the relay's tests under the thread and the address sanitizer
	@# Synchronization.Mutex is not instrumented: the file says which reports that explains.
	@TSAN_OPTIONS=suppressions=$(CURDIR)/Scripts/thread-sanitizer.supp $(STAGE) 'thread sanitizer' \
		Scripts/only relay test --scratch-path .build-thread --sanitize=thread
	@# The test runner itself leaks.
	@ASAN_OPTIONS=detect_leaks=0 $(STAGE) 'address sanitizer' \
		Scripts/only relay test --scratch-path .build-address --sanitize=address

callgrind: needs ## count what the relay allocates a connection and a message: at most 2, and nothing
	@$(STAGE) 'build relay' Scripts/only relay build -c release --product relay-alone $(SWIFT_FLAGS)
	@$(STAGE) callgrind Scripts/callgrind-relay

clean: ## remove all that was built
	rm -rf .build .build-* build
