# phonebill: every command a developer needs. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
TOOL := go tool -modfile=tools/go.mod

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z/-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

# openapi/<spec>.<flavour>.cfg.yaml generates one Go package from openapi/<spec>.yaml.
.PHONY: gen gen/openapi gen/sql
gen: gen/openapi gen/sql ## regenerate everything from openapi/ and sql/

gen/openapi:
	@for cfg in openapi/*.cfg.yaml; do \
	  base=$${cfg##*/}; spec=openapi/$${base%%.*}.yaml; \
	  echo "oapi-codegen $$cfg"; mkdir -p $$(dirname $$(awk '$$1=="output:"{print $$2}' $$cfg)); \
	  $(TOOL) oapi-codegen -config $$cfg $$spec || exit 1; \
	done

gen/sql:
	@echo "sqlc sqlc.yaml"; $(TOOL) sqlc generate
