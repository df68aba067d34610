# Everything a person or a machine does with this tree. `make` alone says what there is.
# Needs Go and make; whatever else a target needs, .ci/setup installs.

.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

VERSION ?= $(shell git describe --tags --match 'v*' --dirty 2>/dev/null | sed 's/^v//')
LDFLAGS := -s -w$(if $(VERSION), -X main.version=$(VERSION))
TOOL := go tool -modfile=.ci/tools.mod
# Packages and flags for a shorter run by hand: make test PKG=./internal/store ARGS='-run Claim -v'
PKG ?= ./...
ARGS ?=

.PHONY: help
help:
	@echo "make run       build Sallyport and serve it on :8080 with SQLite in ./data"
	@echo "make test      install what the tests need, then run them all, race detector on"
	@echo "make bench     measure events, deliveries and inbound calls per second, latency, CPU and memory"
	@echo "make generate  write gen/ anew from openapi.yaml"
	@echo "make lint      check the code, the arrows of the house and the contract"
	@echo "make contract  look whether openapi.yaml breaks clients of the last release"
	@echo "make build     build the static binary ./bin/sallyport"
	@echo "make clean     remove what was built, but no data"

.PHONY: run
run: build
	@exec ./bin/sallyport serve

.PHONY: build
build:
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/sallyport ./cmd/sallyport

.PHONY: test
test:
	@.ci/test $(ARGS) $(PKG)

.PHONY: bench
bench: build
	@.ci/bench $(ARGS)

.PHONY: generate
generate:
	@go generate ./...

.PHONY: lint
lint:
	@.ci/lint

.PHONY: contract
contract:
	@.ci/contract

.PHONY: clean
clean:
	@rm -rf bin dist
