# SPDX-License-Identifier: Apache-2.0
#
# make churn   the main job: boots a kernel, prints the table
# make test    everything that CI runs
#
# Both install what is missing on Debian and its kin, and say what to install
# elsewhere.

# A pipe fails with any of its commands (needs GNU make 3.82 or newer).
SHELL       := bash
.SHELLFLAGS := -o pipefail -c

GO       ?= go
KERNEL   ?= 6.12
KERNELS  ?= 5.10 6.1 6.12 7.2
KERNELS_ARM64 ?= 6.12
SOAK     ?= Soak
CLANG    := clang-14
LINT     := v2.15.0
BIN      := bin/mapprof

VMPACKAGES = $(sort $(dir $(shell grep -rl --include='*_vm_test.go' '^//go:build vm' .)))
# The binary is each guest's /init: what it has for debuggers would be copied at each boot.
VMTEST     = $(GO) test -tags vm -ldflags='-s -w'
# These measure by the wall clock what a busy host would change: each runs by itself.
VMALONE    = $(sort $(dir $(shell grep -rl --include='*_vm_test.go' '^func TestVMAlone' .)))
VMEVERY    = $(sort $(dir $(shell grep -rl --include='*_vm_test.go' '^func TestVM.*OnEveryKernel' .)))

export CGO_ENABLED = 0

.DEFAULT_GOAL := help
.PHONY: help build man reference churn test unit cross vmtest vmtest-kernel soak selftest browsertest promtest generate check-generate lint lint-commits fmt bench benchstat fuzz matrix kernels setup setup-test setup-bench setup-site site session clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

setup:
	@.ci/setup run

setup-test:
	@.ci/setup test

setup-bench:
	@.ci/setup bench

setup-site:
	@.ci/setup site

site: setup-site ## the site of docs/, in bin/site; a link to nowhere fails it
	.ci/site

session: KERNELS = $(KERNEL)
session: KERNELS_ARM64 =
session: setup-site kernels ## record README.md's run in a terminal anew, and draw it
	PATH="$(CURDIR)/bin:$$PATH" TERM=xterm-256color asciinema rec -q --overwrite --env TERM --cols 100 --rows 44 -c "mapprof run --workload churn --strategy rcu,tasks-trace --kernel $(KERNEL)" docs/img/session.cast
	$(GO) test ./internal/session -update

build: ## bin/mapprof, static
	$(GO) build -trimpath -ldflags="-s -w $$(.ci/version)" -o $(BIN) ./cmd/mapprof

man: build ## man pages, in bin/man
	$(BIN) man bin/man

reference: build ## docs/reference: commands, phases and metrics
	rm -rf docs/reference
	$(BIN) man --format markdown docs/reference

churn: setup build ## boot Linux $(KERNEL), churn inner maps, print how long they stay
	$(BIN) run --workload churn --strategy rcu,tasks-trace --kernel $(KERNEL)

test: setup-test fmt-check check-generate lint unit cross fuzz-smoke benchstat vmtest selftest browsertest promtest ## all tests, those in VMs included

unit: ## tests that need no kernel
	$(GO) vet -tags vm,browser,soak,prometheus ./...
	$(GO) test ./...

# What reads runs has to build where there is no Linux.
cross: ## build, vet and test it for arm64, vet it for macOS and Windows
	GOARCH=arm64 $(GO) build ./...
	GOARCH=arm64 $(GO) vet -tags vm,browser,soak,prometheus ./...
	GOARCH=arm64 $(GO) test -exec qemu-aarch64 ./probes ./collect/... ./target/guest ./target/wire ./target/rootfs ./target/kernels/... ./results/inventory ./workloads/...
	GOOS=darwin GOARCH=arm64 $(GO) vet ./...
	GOOS=windows $(GO) vet ./results/... ./analyze/... ./report/... ./cmd/mapprof

fetch = @for k in $(1); do $(BIN) kernels list --arch $(2) --offline --format json | grep "\"series\": \"$$k\"" >/dev/null || $(BIN) kernels fetch --arch $(2) $$k || exit 1; done

kernels: build
	$(call fetch,$(KERNELS),amd64)
	$(call fetch,$(KERNELS_ARM64),arm64)

# A kernel boots once for each test binary and machine, and the other tests begin there.
vmtest: export MAPPROF_BOOT = snapshot
vmtest: kernels ## tests that boot kernels under QEMU
	@.ci/quiet $(VMTEST) -run VM -skip '^TestVMAlone' -p 2 -parallel 2 -timeout 60m -v $(VMPACKAGES)
	@for p in $(VMALONE); do .ci/quiet $(VMTEST) -run '^TestVMAlone' -timeout 60m -v $$p || exit 1; done

vmtest-kernel: KERNELS = $(KERNEL)
vmtest-kernel: KERNELS_ARM64 =
vmtest-kernel: kernels ## of those, the ones for every kernel, on $(KERNEL) alone
	@for p in $(VMEVERY); do MAPPROF_TEST_KERNELS=$(KERNEL) .ci/quiet $(VMTEST) -run 'VM.*OnEveryKernel$$' -timeout 60m -v $$p || exit 1; done

soak: kernels ## long tests in VMs, or the one that SOAK names: at the limits of memory, for hours
	.ci/quiet $(GO) test -tags vm,soak -run '$(SOAK)' -timeout 10h -v $(sort $(dir $(shell grep -rl --include='*_soak_test.go' '^//go:build vm && soak' .)))

selftest: kernels ## the gate proves itself: unchanged passes, planted fails, incomplete is inconclusive
	$(BIN) gate --self-test --offline --kernel $(KERNEL)

browsertest: ## the web view, driven in Debian's Chromium
	.ci/quiet $(GO) test -tags browser -run Browser -timeout 15m -v ./report/web

promtest: ## exports, read by Debian's Prometheus, Pushgateway and node_exporter
	PATH="$(CURDIR)/bin/prometheus:$$PATH" .ci/quiet $(GO) test -tags prometheus -run Prometheus -timeout 15m -v ./analyze/export

generate: ## the BPF objects (needs $(CLANG) from Debian)
	$(GO) generate ./...

check-generate: ## fail if the committed BPF objects are stale
	.ci/check-generate $(CLANG)

lint: lint-commits ## golangci-lint, with the import rules; commits' subjects
	@test -x bin/golangci-lint-$(LINT) || { GOBIN=$(CURDIR)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT) && mv bin/golangci-lint bin/golangci-lint-$(LINT); }
	bin/golangci-lint-$(LINT) run ./...

lint-commits: ## the subjects of commits since $(BASE), by default since main
	@.ci/lint-commits $(BASE)

fmt: ## format Go and C
	gofmt -w $$(git ls-files '*.go')
	clang-format-14 -i $$(git ls-files '*.bpf.c' '*.bpf.h')

.PHONY: fmt-check
fmt-check:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "not formatted: make fmt"; exit 1; }
	@clang-format-14 --dry-run -Werror $$(git ls-files '*.bpf.c' '*.bpf.h') || { echo "not formatted: make fmt"; exit 1; }

bench: setup-bench kernels ## what mapprof itself costs, and how exact it is
	$(BIN) bench overhead --kernel $(KERNEL)
	$(BIN) bench probe-cost --kernel $(KERNEL) --out docs/PERFORMANCE.md
	$(BIN) bench memory --kernel $(KERNEL) --out docs/PERFORMANCE.md
	$(BIN) bench growth --kernel $(KERNEL) --out docs/PERFORMANCE.md
	$(BIN) bench watching --kernel $(KERNEL)
	$(BIN) bench watching --kernel $(KERNEL) --clock icount --rounds 4
	$(BIN) bench hold --kernel $(KERNEL)

benchstat: ## what reads runs, against $(BASE), by default where main was left: fails if it got dearer
	@.ci/benchstat $(BASE)

FUZZTIME ?= 60s

fuzz: ## every fuzz target for FUZZTIME (60s)
	.ci/fuzz $(FUZZTIME)

.PHONY: fuzz-smoke
fuzz-smoke: ## every fuzz target for a few seconds
	@$(MAKE) --no-print-directory fuzz FUZZTIME=3s

matrix: setup kernels ## every strategy on each of KERNELS, in one table
	$(BIN) bench matrix $(KERNELS)

clean:
	rm -rf bin
