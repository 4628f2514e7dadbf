# Tollgate. "make help" lists the targets.
SHELL := /bin/bash
GO ?= go
# -race needs a C compiler; the product itself is built without cgo. It does not watch packages that only work on what
# they are given: docs/decisions/0034-what-the-race-detector-watches.md.
UNWATCHED := modernc.org/sqlite/lib modernc.org/memory/... compress/... \
	github.com/go-json-experiment/json/jsontext github.com/go-json-experiment/json/internal/...
RACE := -race $(foreach package,$(UNWATCHED),-gcflags=$(package)=-race=false)
TESTFLAGS ?= -timeout 60m
# One package more than there are processors, because many tests wait for calls. Those that take longest begin first, so
# that no processor waits for them at the end.
PARALLEL := -p $(shell expr $$(nproc) + 1)
PACKAGES ?= ./internal/api ./test/e2e ./internal/store/sqlstore ./test/telnyx ./test/hostile ./...

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: build
build: ## build ./bin/tollgate, without cgo
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/tollgate ./cmd/tollgate

.PHONY: deps
deps: ## install what the tests need beyond Go (Debian packages)
	@test/install-packages sipp:sip-tester gcc:gcc lame:lame node:nodejs npm:npm chromium:chromium pg_ctlcluster:postgresql promtool:prometheus svmap:sipvicious rtpengine:rtpengine-daemon baresip:baresip-core
	@test/install-packages strace:strace faketime:faketime # for the faults
	@test/install-asterisk || echo "Asterisk could not be unpacked: the tests that need it are skipped"
	@test/install-packages kamailio:kamailio /usr/lib/*/kamailio/modules/http_client.so:kamailio-utils-modules \
		/usr/lib/*/kamailio/modules/jansson.so:kamailio-extra-modules /usr/lib/*/kamailio/modules/jansson.so:kamailio-json-modules /usr/lib/*/kamailio/modules/tls.so:kamailio-tls-modules \
		/usr/lib/*/kamailio/modules/secsipid.so:kamailio-secsipid-modules secsipidx:secsipidx openssl:openssl

.PHONY: test
test: deps simulation ## run every test, with the race detector
	$(GO) vet ./...
	test/with-temporary-folder $(GO) test -vet=off $(PARALLEL) $(RACE) $(TESTFLAGS) $(PACKAGES)

.PHONY: check
check: build lint ## build, vet, lint, and run the tests that need no services and are not long, without -race
	$(GO) vet ./...
	test/with-temporary-folder $(GO) test -vet=off $(PARALLEL) -short $(TESTFLAGS) $(PACKAGES)

SIM_RUNS ?= 3000
SIM_FIRST ?= 1
.PHONY: simulation
simulation: ## run SIM_RUNS seeds of the simulation, from SIM_FIRST on
	TOLLGATE_SIM_RUNS=$(SIM_RUNS) TOLLGATE_SIM_FIRST=$(SIM_FIRST) $(GO) test -count 1 -run 'TestSimulation$$' -v ./test/sim

.PHONY: faults
faults: deps ## inject every fault into real processes, and print the table; takes half an hour
	$(GO) test -count 1 -timeout 90m -parallel 3 -v ./test/faults -full $(FAULTS)

.PHONY: faults-short
faults-short: deps ## inject the quick faults
	$(GO) test -count 1 -parallel 3 -v ./test/faults

.PHONY: test-recording
test-recording: deps ## record real calls in every form, listen to them, and kill the server in the middle
	$(GO) test $(RACE) -count 1 -run Recording ./test/e2e

.PHONY: lint
lint: ## formatting, golangci-lint, module files
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "gofmt would change these files"; exit 1; }
	$(GO) mod tidy -diff
	$(GO) tool -modfile=tools/go.mod golangci-lint run --allow-parallel-runners ./...

.PHONY: lint-openapi
lint-openapi: ## lint the OpenAPI document that the server prints
	$(GO) test -count 1 ./test/openapi

.PHONY: vuln
vuln: ## look for known vulnerabilities; needs the vulnerability database
	$(GO) tool -modfile=tools/go.mod govulncheck ./...

.PHONY: bench
bench: ## run the benchmarks; every figure is a ratio or a count of this run
	$(GO) test -run '^$$' -bench . -benchmem ./internal/admission ./internal/rating ./internal/e164 ./internal/store/sqlstore
	$(GO) test -run '^$$' -bench . -benchtime 1x ./internal/api
	$(GO) run ./test/bench $(BENCHFLAGS)

.PHONY: bench-media
bench-media: ## measure the media relay beside rtpengine, with and without recording
	$(GO) build -trimpath -o bin/benchmedia ./test/benchmedia
	bin/benchmedia $(BENCHFLAGS)

.PHONY: bench-sip
bench-sip: ## measure calls over SIP beside Kamailio; BENCHFLAGS="-write docs/PERFORMANCE.md" keeps the tables
	@test/install-packages sipp:sip-tester kamailio:kamailio /usr/lib/*/kamailio/modules/http_client.so:kamailio-utils-modules \
		/usr/lib/*/kamailio/modules/jansson.so:kamailio-extra-modules /usr/lib/*/kamailio/modules/jansson.so:kamailio-json-modules
	$(GO) test -run '^$$' -bench . -benchmem ./internal/sipgw ./internal/siptrace
	$(GO) run ./test/bench -sip $(BENCHFLAGS)

FUZZTIME ?= 30s
.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME each
	@for package in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$package 2>/dev/null | grep '^Fuzz'); do \
	    echo "$$package $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$package || exit 1; \
	  done; done

.PHONY: generate
generate: ## make the generated files again
	$(GO) generate ./...

.PHONY: demo
demo: ## place real calls through a whole Tollgate in a temporary folder
	$(GO) run ./cmd/tollgate demo
