# Everything a developer does, by name. `make help` lists it.

SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := help

GO       ?= go
REQUESTS ?= 4000
PROTOCOL ?= .
REPLICAS ?= 3
DIFFERENTIAL ?= 1m
FUZZTIME ?= 1m
ROUNDS   ?= 1000
GRANTS   ?= 20000
node_modules := e2e/node/node_modules/.package-lock.json
client_libraries := e2e/clients/node/node_modules/.package-lock.json
client_programs := e2e/clients/node/node_modules/.programs
client_pythons := e2e/clients/python/venv-1/.installed e2e/clients/python/venv-2/.installed e2e/clients/python/venv-fastmcp/.installed
providers := e2e/node/.providers

.PHONY: help
help: ## Show what there is to make
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the program into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/trinity-bridge ./cmd/trinity-bridge

.PHONY: run
run: ## Run the demo: bridge and simulated Trinity on loopback
	$(GO) run ./cmd/trinity-bridge demo

.PHONY: test
test: ## Run every test that needs Go alone, with the race detector
	$(GO) test -race -timeout 15m ./...

.PHONY: test-postgres
test-postgres: ## Run the tests that need a PostgreSQL server and PgBouncer, with the race detector; without one they fail
	TEST_POSTGRES=required $(GO) test -race -count=1 -timeout 15m ./bridge/store/postgres/...

.PHONY: races
races: ## Present each of 1,000 codes 64 times at once, on both stores and spread over three replicas, with the race detector
	TEST_LONG=1 TEST_POSTGRES=required $(GO) test -race -count=1 -timeout 30m -run '^TestStore$$/RedeemCode/TK-02|TK02_64ways' -v ./bridge/store/badger ./bridge/store/postgres

.PHONY: e2e-replicas
e2e-replicas: $(node_modules) $(client_libraries) $(client_pythons) $(providers)/zitadel $(providers)/.keycloak ## Run all of it, and the protocol's tests, against REPLICAS (3) replicas on one PostgreSQL behind a round-robin proxy
	E2E_REPLICAS=$(REPLICAS) $(GO) run ./e2e/postgrestest/with $(GO) test -tags e2e -count=1 -timeout 25m -run '$(PROTOCOL)' ./e2e/protocol ./e2e ./e2e/foreign ./e2e/clients

.PHONY: replicas
replicas: ## Kill replicas and their PostgreSQL under load, and measure how soon a revocation is known everywhere
	$(GO) test -tags replicas -count=1 -timeout 10m -v ./e2e/replicas

.PHONY: e2e
e2e: $(node_modules) $(client_libraries) $(client_pythons) $(providers)/zitadel $(providers)/.keycloak ## Run foreign clients, the official suite, a browser and a foreign server against the program
	$(GO) test -tags e2e -count=1 -timeout 15m -v ./e2e ./e2e/foreign ./e2e/clients ./e2e/parsers

.PHONY: providers
providers: $(node_modules) $(providers)/zitadel $(providers)/.keycloak ## Run the sign-in through real identity providers alone
	$(GO) test -tags e2e -run Provider -count=1 -timeout 15m -v ./e2e/foreign

.PHONY: leaving
leaving: $(node_modules) ## Have people lose a group and a role, and wait in real time (five minutes) until they are out
	$(GO) test -tags e2e -run realTime -count=1 -timeout 15m -v ./e2e/foreign -real-time

.PHONY: official
official: $(node_modules) $(client_libraries) ## Run the official conformance suite alone
	$(GO) test -tags e2e -run Conformance -count=1 -timeout 15m -v ./e2e/clients

.PHONY: clients
clients: $(node_modules) $(client_programs) $(client_pythons) e2e/clients/python/venv-mcp-use/.installed ## Run Claude Code, Codex, Gemini CLI, Inspector and mcp-use against it, and the libraries and the suite of e2e
	$(GO) test -tags clients -count=1 -timeout 15m -v ./e2e/clients

# Real identity providers. Where Maven or Java is out of reach the test of Keycloak is skipped, and says so.
$(providers)/zitadel:
	GOBIN=$(CURDIR)/$(providers) $(GO) install github.com/zitadel/oidc/v3/example/server@v3.51.17
	mv $(providers)/server $@

$(providers)/.keycloak: .ci/keycloak
	@.ci/keycloak $(providers) && touch $@ || echo "NOTICE: Keycloak could not be had; nothing will be shown of it"

# The lock file decides; scripts of packages are never run.
$(node_modules): e2e/node/package.json e2e/node/package-lock.json
	cd e2e/node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(client_libraries): e2e/clients/node/package.json e2e/clients/node/package-lock.json
	cd e2e/clients/node && npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(client_programs): e2e/clients/node/package.json e2e/clients/node/package-lock.json
	cd e2e/clients/node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $(client_libraries) $@

e2e/clients/python/venv-%/.installed: e2e/clients/python/requirements-%.txt
	python3 -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --only-binary :all: --requirement $<
	@touch $@

.PHONY: fuzz
fuzz: ## Fuzz each target for FUZZTIME (1m), on one CPU
	.ci/fuzz $(FUZZTIME)

.PHONY: differential
differential: $(node_modules) ## Read bodies as the gateway and as Node does, for DIFFERENTIAL (1m), and compare
	DIFFERENTIAL=$(DIFFERENTIAL) $(GO) test -tags e2e -count=1 -timeout 60m -v -run TestReader_long ./e2e/parsers

.PHONY: load
load: ## Measure the authorization server under load: refreshes, a flood of registrations, documents
	$(GO) test -tags load -count=1 -timeout 15m -v ./e2e/load

.PHONY: crash
crash: ## Kill the program in the middle of its clients' work, ROUNDS times in four ways, and add to docs/crash.md; cut the power of a store that fills its logs
	$(GO) test -count=1 -timeout 120m -parallel 4 -run OP01 -v ./e2e/crash -rounds $(ROUNDS) -table $(CURDIR)/docs/crash.md
	$(GO) test -count=1 -timeout 60m -run OP01_powerCut -v ./bridge/store/badger -cuts 100

.PHONY: bench-store
bench-store: ## Measure both stores beside one sync of the disk, with 1,000 and with GRANTS grants, and the size after churn
	$(GO) test -count=1 -timeout 120m -run TestTable -v ./e2e/store -grants $(GRANTS)
	$(GO) test -count=1 -timeout 60m -run TestSweep_churn -v ./bridge/store/badger -churned $(GRANTS)

.PHONY: corruption
corruption: ## Damage every file of a store in 20 places and every way, and look whether it is noticed
	$(GO) test -count=1 -timeout 15m -run Corruption -v ./bridge/store/badger -offsets 20 | grep -E 'damages:|^(---|ok|FAIL|panic)'

.PHONY: bench
bench: ## Measure the gateway beside a bare reverse proxy, in REQUESTS requests of each kind, and what else is promised of its speed, with GRANTS grants
	$(GO) test -run '^$$' -bench 'Gateway|List|Refusal|Events|Grants' -benchtime $(REQUESTS)x -timeout 30m ./bridge/gateway -grants $(GRANTS)

.PHONY: bench-access
bench-access: ## Measure a decision on who may come in (two sources, 10,000 people, 50 groups each), and if sign-in tells addresses apart by time
	$(GO) test -run '^$$' -bench Decide -timeout 5m ./bridge/admission
	$(GO) test -count=1 -run OT01_timing -timeout 5m -v ./federation/trinity -timing | grep -E 'medians|^(---|ok|FAIL)'

.PHONY: lint
lint: ## Read the code: vet, golangci-lint, format
	$(GO) vet ./...
	$(GO) vet -tags e2e ./e2e/...
	$(GO) vet -tags clients ./e2e/clients
	$(GO) vet -tags load ./e2e/load
	$(GO) vet -tags replicas ./e2e/replicas
	@tool=$$(.ci/tool golangci-lint) && "$$tool" config verify && "$$tool" run ./...

.PHONY: fmt
fmt: ## Format the code
	@tool=$$(.ci/tool gofumpt) && "$$tool" -l -w $$(git ls-files --cached --others --exclude-standard '*.go')

.PHONY: check-fmt
check-fmt: ## Name the files that `make fmt` would change
	@.ci/check-fmt

.PHONY: check-docs
check-docs: ## Check links, package comments and left-behinds
	@.ci/check-docs

.PHONY: conformance
conformance: ## Write docs/conformance.md and count the rules with a test
	$(GO) run ./docs/conformance

.PHONY: pictures
pictures: ## Draw what the documents show of the terminal
	$(GO) run ./docs/picture

.PHONY: modules
modules: ## Check the sums of the modules, and that go.mod names those that are used (SC-03)
	$(GO) mod verify
	$(GO) mod tidy -diff

.PHONY: vuln
vuln: ## Look for known vulnerabilities in what the program uses
	@.ci/vuln

.PHONY: ci
ci: ## Run all that continuous integration runs
	bash .ci/run

.PHONY: tools
tools: ## Install the pinned tools
	@for name in golangci-lint gofumpt govulncheck; do .ci/tool $$name; done

.PHONY: clean
clean: ## Remove what was built, installed and pictured here
	rm -rf bin .tools e2e/artifacts e2e/node/node_modules e2e/node/.providers e2e/clients/node/node_modules e2e/clients/python/venv-*
