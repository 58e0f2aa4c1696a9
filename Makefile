# Two commands to begin with: `make run` starts everything on sample data, and
# `make test` installs what the tests need and runs them all. `make install` puts the
# programs, their man pages and the units of systemd in place.

GO ?= go
BIN := bin
PROGRAMS := coredns icp-gate icp-registry

# Peers that the tests run against, as Debian names them.
DEBIAN_PEERS := apache2-utils bind9-dnsutils caddy chromium curl haproxy iproute2 iptables knot-dnsutils libnginx-mod-http-lua libnginx-mod-stream mandoc man-db \
	nghttp2-client nginx openssl postgresql-15 slowhttptest systemd unbound wrk

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.5.0
FUZZTIME ?= 5s

.PHONY: all build sample run peers test check fuzz bench bench-dns bench-gate bench-auth bench-quic bench-store soak man install plugincfg clean

all: build

build:
	@mkdir -p $(BIN)
	$(GO) build -o $(BIN)/ $(addprefix ./cmd/,$(PROGRAMS))

# The sample registry that corefile.example and `make run` use.
sample: build
	@mkdir -p $(BIN)/sample
	$(BIN)/icp-registry import deploy/sample/filings.csv -o $(BIN)/sample/registry.icp

run: sample
	$(GO) run ./deploy/run -bin $(BIN)

# On Debian as root the peers are installed; elsewhere what is missing is named,
# and the tests that need it are skipped by name (or fail, with REQUIRE_PEERS=1).
peers:
	@deploy/peers $(DEBIAN_PEERS)

test: peers build
	$(GO) test -timeout 20m ./...

check: build
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	@$(GO) run $(GOVULNCHECK) ./... || echo "govulncheck: skipped or found something; see above (its database needs the network)"
	ICP_PLUGINCFG=$$(deploy/plugincfg/build $(BIN)/plugincfg) && export ICP_PLUGINCFG && $(GO) test -race -timeout 40m ./...
	$(MAKE) fuzz

# CoreDNS with all of its plugins and the directive, built as plugin/README.md
# says and kept until a source changes; then the tests of it.
plugincfg:
	ICP_PLUGINCFG=$$(deploy/plugincfg/build $(BIN)/plugincfg) && export ICP_PLUGINCFG && $(GO) test ./deploy/plugincfg

# The man pages of the directive, of the gate, and of the registry's commands.
man: build
	@mkdir -p $(BIN)/man
	$(BIN)/icp-registry man $(BIN)/man
	deploy/man >$(BIN)/man/coredns-icp.7
	deploy/man gate >$(BIN)/man/icp-gate.8

# docs/operating.md says what comes next. DESTDIR is for who makes a package.
PREFIX ?= /usr/local
install: build man
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man7 $(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/lib/sysusers.d
	install $(addprefix $(BIN)/,$(PROGRAMS)) $(DESTDIR)$(PREFIX)/bin/
	install -m 644 $(BIN)/man/*.7 $(DESTDIR)$(PREFIX)/share/man/man7/
	install -m 644 $(BIN)/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8/
	install -m 644 deploy/systemd/icpgate.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/
	for unit in deploy/systemd/*.service; do sed 's|/usr/local/bin|$(PREFIX)/bin|' $$unit >$(DESTDIR)$(PREFIX)/lib/systemd/system/$${unit##*/} || exit 1; done

# Every fuzz target for FUZZTIME each.
fuzz:
	@deploy/fuzz $(FUZZTIME)

# The short form, a few minutes. ICPGATE_BENCH_NAMES is how many filings there are
# (default 100,000); bench/README.md has the figures of the long form.
BENCHTIME ?= 200ms
bench:
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) -timeout 60m $$($(GO) list ./... | grep -v /bench)
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) -timeout 60m -cpu 1,2 ./bench/...

# The gate beside nginx and HAProxy; bench/gate/README.md says how.
bench-gate:
	@mkdir -p $(BIN)
	$(GO) build -o $(BIN)/icp-gate ./cmd/icp-gate
	$(GO) build -o $(BIN)/bench-gate ./bench/gate
	$(BIN)/bench-gate -dir $(BIN)/bench-gate.files -gate $(BIN)/icp-gate

# The gate where proxies ask it; bench/auth/README.md says how.
bench-auth:
	@mkdir -p $(BIN)
	$(GO) build -o $(BIN)/icp-gate ./cmd/icp-gate
	$(GO) build -o $(BIN)/bench-auth ./bench/auth
	$(BIN)/bench-auth -dir $(BIN)/bench-auth.files -gate $(BIN)/icp-gate

# The gate for QUIC beside a bare relay, and in a flood; bench/quic/README.md says
# how.
bench-quic:
	@mkdir -p $(BIN)
	$(GO) build -o $(BIN)/icp-gate ./cmd/icp-gate
	$(GO) build -o $(BIN)/bench-quic ./bench/quic
	$(BIN)/bench-quic -dir $(BIN)/bench-quic.files -gate $(BIN)/icp-gate

# The registry of record and its feed; bench/store/README.md says how. Five million
# filings take some 10 GB and a quarter of an hour.
BENCH_FILINGS ?= 5000000
bench-store:
	@mkdir -p $(BIN)
	$(GO) build -o $(BIN)/bench-store ./bench/store
	$(BIN)/bench-store -dir $(BIN)/bench-store.files -filings $(BENCH_FILINGS)

# What the policy costs in name servers; see bench/dns/README.md. It takes about
# twenty minutes.
bench-dns: build
	$(GO) run ./bench/dns

# The long forms of the tests.
soak:
	$(MAKE) fuzz FUZZTIME=60s
	ICP_SOAK=1 $(GO) test -timeout 80m ./...

clean:
	rm -rf $(BIN)
