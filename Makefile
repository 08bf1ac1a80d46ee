# phonebill: every command a developer needs. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
TOOL := go tool -modfile=tools/go.mod
VERSION = $(shell git describe --tags --always 2>/dev/null)
VERSION_FLAGS = -buildvcs=auto -ldflags "-X phonebill/cmd/internal/boot.version=$(VERSION)"
SPECS = $(filter-out openapi/redocly.yaml %.cfg.yaml %.overlay.yaml,$(wildcard openapi/*.yaml))

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z/-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

##### run

.PHONY: run run/split demo build deps
run: deps ## start everything on this machine: database, cache, simulators, services, gateway, demo data
	@go build $(VERSION_FLAGS) -o bin/phonebill ./cmd/phonebill
	@PHONEBILL_ENV=development exec bin/phonebill

run/split: deps build ## the same, with each service as a process of its own
	@PHONEBILL_ENV=development exec bin/phonebill -split

demo: ## drive a customer's whole journey against the running system
	@go build $(VERSION_FLAGS) -o bin/phonebillctl ./cmd/phonebillctl
	@exec bin/phonebillctl demo

build: ## build all commands into bin/
	@go build $(VERSION_FLAGS) -o bin/ ./cmd/...

deps: ## install PostgreSQL and Valkey or Redis if they are missing
	@scripts/deps.sh

##### develop

# openapi/<spec>.<flavour>.cfg.yaml generates one Go package from openapi/<spec>.yaml, less what the overlay that it
# names removes.
.PHONY: gen gen/openapi gen/sql gen/clients
gen: gen/openapi gen/sql ## regenerate everything from openapi/ and sql/

gen/openapi:
	@for cfg in openapi/*.cfg.yaml; do \
	  base=$${cfg##*/}; spec=openapi/$${base%%.*}.yaml; \
	  echo "oapi-codegen $$cfg"; mkdir -p $$(dirname $$(awk '$$1=="output:"{print $$2}' $$cfg)); \
	  $(TOOL) oapi-codegen -config $$cfg $$spec || exit 1; \
	done
	@echo "bundle openapi/bundle.yaml"
	@go run ./openapi/bundle/generate > openapi/bundle.yaml.new && mv openapi/bundle.yaml.new openapi/bundle.yaml

gen/sql:
	@rm -f adapters/postgres/internal/*db/*.sql.go # so that none outlives its queries
	@echo "sqlc sqlc.yaml"; $(TOOL) sqlc generate

gen/clients: clients/typescript/node_modules
	@echo "openapi-typescript clients/typescript/src/schema.ts"; cd clients/typescript && npm run --silent gen > /dev/null

.PHONY: check test drills bench fmt
check: ## format, lint what changed, run the tests of the pure core: the inner loop, under 90 s
	@$(TOOL) golangci-lint fmt
	@changed=$$( (git diff --name-only --diff-filter=d HEAD; git ls-files -o --exclude-standard) | grep '\.go$$' \
	  | xargs -r -n1 dirname | sort -u | sed 's#^#./#'); \
	  if [ -n "$$changed" ]; then $(TOOL) golangci-lint run $$changed; fi
	go vet ./core/... ./ports/...
	go test ./core/... ./docs/...

# go test need not vet the code: make verify/lint does.
test: deps ## run every test, race detector on, on a real PostgreSQL and cache that it starts itself
	@mkdir -p bin coverage && go build -o bin/testenv ./e2e/testenv
	bin/testenv go test -vet=off -race -shuffle=on -timeout 15m -coverpkg=./... \
	  -coverprofile=coverage/integration.out ./...
	bin/testenv go test -tags waf -timeout 5m -run Firewall ./cmd/internal/allinone ./cmd/internal/compose/gateway

.PHONY: test/web test/clients
test/web: deps e2e/web/node_modules ## portal and CORS in headless Chromium, and the collection of requests; needs npm
	@scripts/deps.sh --browser
	@go build $(VERSION_FLAGS) -o bin/phonebill ./cmd/phonebill
	cd e2e/web && node --test --test-concurrency=1

test/clients: deps clients/typescript/node_modules ## the TypeScript client; needs npm
	@go build $(VERSION_FLAGS) -o bin/phonebill ./cmd/phonebill
	cd clients/typescript && npm test

coverage/integration.out:
	@$(MAKE) --no-print-directory test

# The releases whose data folders the drill of upgrades takes over; the last one is the release before.
DRILL_UPGRADE_FROM ?= b0e8e26 f1f5ff2 c4cb397
drills: deps ## the drills at full size: 200 kills, 200 orders under every fault, 3,000 simulated worlds, upgrades
	@mkdir -p bin && go build -o bin/testenv ./e2e/testenv
	SIMULATION_SEEDS=3000 go test -count=1 -run TestSimulation -v ./core/product/change
	SIMULATION_SEEDS=3000 go test -count=1 -run TestFloors -v ./core/quota
	DRILL_FULL=1 bin/testenv go test -count=1 -timeout 30m -run 'Rows|Indexes|Guessers|ResponseTimes' \
	  ./adapters/postgres ./cmd/internal/compose/auth
	DRILL_FULL=1 DRILL_KILLS=200 DRILL_ROUNDS=200 DRILL_UPGRADE_FROM="$(DRILL_UPGRADE_FROM)" \
	  bin/testenv go test -count=1 -timeout 60m -v ./e2e/

bench: deps build ## measure against bare baselines in one run; prints a table, writes bench/out/*.json
	@exec bin/bench

fmt: ## format the code
	@$(TOOL) golangci-lint fmt

##### verify

.PHONY: licenses
licenses: ## write THIRD_PARTY_LICENSES anew
	@scripts/licenses.sh

.PHONY: verify verify/drift verify/tidy verify/licenses verify/lint verify/openapi verify/breaking verify/migrations \
  verify/coverage
verify: ## everything a change must pass beside the tests
verify: verify/drift verify/tidy verify/licenses verify/lint verify/openapi verify/breaking verify/migrations \
  verify/coverage

verify/drift: gen gen/clients ## generated code is what openapi/ and sql/ say
	@test -z "$$(git status --porcelain -- ':(glob)adapters/**/*.gen.go' adapters/postgres/internal \
	  openapi/bundle.yaml clients/typescript/src/schema.ts | tee /dev/stderr)" \
	  || { echo "generated code is not up to date: run make gen and commit"; exit 1; }

verify/tidy: ## go.mod and tools/go.mod are tidy
	go mod tidy -diff
	cd tools && go mod tidy -diff
	cd tools/oasdiff && go mod tidy -diff

verify/licenses: ## THIRD_PARTY_LICENSES names every module that is linked
	@scripts/licenses.sh --check

verify/lint: ## the code passes golangci-lint; what that does not read has lines of at most 120 columns
	$(TOOL) golangci-lint run
	@! git ls-files -- Makefile 'sql/*.sql' 'scripts/*.sh' e2e .ci ':!e2e/web/*.json' 'clients/*.ts' 'clients/*.mjs' \
	  ':!clients/typescript/src/schema.ts' | LC_ALL=C.UTF-8 xargs grep -nE '^.{121}' \
	  || { echo "these lines are longer than 120 columns"; exit 1; }

verify/openapi: node_modules ## the specifications pass redocly
	npx --no-install redocly lint --config openapi/redocly.yaml $(SPECS)

verify/breaking: ## no client of the last release breaks, unless the changelog declares it
	@scripts/breaking.sh

verify/migrations: node_modules ## the migrations pass squawk
	npx --no-install squawk --config migrations/squawk.toml migrations/*/*.sql

verify/coverage: coverage/integration.out ## unit >= 90 %, integration >= 70 %, generated code left out
	@mkdir -p coverage
	@SIMULATION_SEEDS=1000 go test -count=1 -coverpkg=./core/... -coverprofile=coverage/unit.out ./core/... > /dev/null
	@scripts/coverage.sh coverage/unit.out 90 phonebill/core/
	@scripts/coverage.sh coverage/integration.out 70

##### release

.PHONY: release
release: ## release VERSION=0.7.0: move Unreleased in the changelog to it, commit, and make an annotated tag
	@scripts/release.sh "$(VERSION)"

node_modules: package-lock.json
	npm ci --no-progress
	@touch node_modules

%/node_modules: %/package-lock.json
	cd $* && npm ci --no-progress --ignore-scripts
	@touch $@
