# Everything one does with this repository. `make` lists it.
#
# The daemon is an ordinary cargo build. The monitor (wharf-shim) is a static, position-dependent binary: one lives beside
# every container, so it must not depend on the host's libraries and should dirty as little memory as possible. It has its
# own target directory, because its flags would otherwise rebuild the dependencies that both share; its own tests are built
# there as well.

SHELL       := /bin/sh
CARGO       ?= cargo
TARGET      := $(or $(CARGO_TARGET_DIR),target)
PREFIX      ?= /usr/local
BINDIR       = $(DESTDIR)$(PREFIX)/bin
LIBEXECDIR   = $(DESTDIR)$(PREFIX)/libexec/wharf
UNITDIR      = $(DESTDIR)$(PREFIX)/lib/systemd/system

# Looked up when used: on a fresh machine the compiler comes with `make setup`.
TRIPLE       = $(shell rustc -vV | sed -n 's/^host: //p')
SHIM_ENV     = LIBSECCOMP_LINK_TYPE=static LIBSECCOMP_LIB_PATH=/usr/lib/$$(gcc -print-multiarch) \
               RUSTFLAGS="-C target-feature=+crt-static -C relocation-model=static"
SHIM         = --locked -p wharf-shim --target $(TRIPLE) --target-dir $(TARGET)/shim
SHIM_OUT     = $(TARGET)/shim/$(TRIPLE)
TEST_BUILT   = WHARF_SHIM="$(abspath $(SHIM_OUT))/debug/wharf-shim" WHARF_PLUGINS="$(abspath $(TARGET))/plugins"
# What `make dev` builds beside the monitor.
DEV          = --locked -p wharf-daemon -p wharf-plugin-cli
# What `make unit` tests beside the monitor. The end-to-end crate is run by tests/run.sh; it needs the binaries.
TESTED       = --locked --workspace --exclude wharf-tests --exclude wharf-shim
PLUGINS      = CARGO_TARGET_DIR="$(abspath $(TARGET))" scripts/plugins.sh

.PHONY: help setup build dev plugins plugincheck run stop test lint deny unit fuzz fuzz-brief e2e bench docs install uninstall clean

help:
	@sed -n 's/^\([a-z][a-z0-9]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## install what building and testing need (Debian packages, test clients)
	@scripts/setup.sh all

build: ## release binaries: wharfd, wharf-shim and wharf-plugin in target/release
	@scripts/setup.sh build
	$(CARGO) build --locked --release -p wharf-daemon -p wharf-plugin-cli
	$(SHIM_ENV) $(CARGO) build $(SHIM) --profile shim
	@install -m 0755 $(SHIM_OUT)/shim/wharf-shim $(TARGET)/release/wharf-shim

dev: ## debug binaries, in target/debug
	@scripts/setup.sh build
	$(CARGO) build $(DEV) $(DEV_TARGETS)
	$(SHIM_ENV) $(CARGO) build $(SHIM) $(DEV_TARGETS)
	@install -m 0755 $(SHIM_OUT)/debug/wharf-shim $(TARGET)/debug/wharf-shim

plugins: ## first-party plugins in target/plugins, ready for `docker plugin create`
	$(PLUGINS) build

plugincheck: dev ## lint and test the first-party plugins, and the SDK in every language
	$(PLUGINS) test
	$(PLUGINS) hello

run: setup build ## build, check the host, start the daemon and run a first container
	@scripts/run.sh $(TARGET)/release/wharfd $(TARGET)/wharfd.log

stop: ## stop the daemon that `make run` started
	@scripts/stop.sh

# With the unit tests: they want more of some dependencies than the binaries do, and one build has one set of features.
test: DEV = $(TESTED)
test: DEV_TARGETS = --bins --tests
test: setup dev plugins lint deny unit plugincheck fuzz-brief e2e ## everything that must pass before a change goes in

lint:
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path tests/fuzz/Cargo.toml --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

# The three workspaces by the rules of one file. Plugins are built for WebAssembly, and tested here.
deny:
	@if command -v cargo-deny >/dev/null; then set -ex; \
		$(CARGO) deny check; \
		$(CARGO) deny --manifest-path plugins/Cargo.toml check; \
		$(CARGO) deny --manifest-path plugins/Cargo.toml --target wasm32-unknown-unknown check; \
		$(CARGO) deny --manifest-path tests/fuzz/Cargo.toml check; \
	else echo "cargo-deny is not installed: licences and advisories are not checked (cargo install cargo-deny)"; fi

unit: ## unit tests of all crates
	@export $(TEST_BUILT); set -x; \
	if command -v cargo-nextest >/dev/null; then \
		$(CARGO) nextest run $(TESTED) && $(CARGO) test $(TESTED) --doc && $(SHIM_ENV) $(CARGO) nextest run $(SHIM); \
	else $(CARGO) test $(TESTED) && $(SHIM_ENV) $(CARGO) test $(SHIM); fi

# Stable Rust builds the targets too; tests/fuzz/run.sh says how.
fuzz: ## run every fuzz target for FUZZ_SECONDS (300), one per processor at a time
	CARGO_TARGET_DIR="$(abspath $(TARGET))" CARGO="$(CARGO)" tests/fuzz/run.sh $(or $(FUZZ_SECONDS),300)

# The same numbers each time judge a change; luck is for `make fuzz`.
fuzz-brief:
	FUZZ_SEED=1 CARGO_TARGET_DIR="$(abspath $(TARGET))" CARGO="$(CARGO)" tests/fuzz/run.sh 10

# The test clients that scripts/setup.sh installs come first: `python3` has docker-py and `node` finds dockerode.
e2e: ## end-to-end tests against the debug binaries
	PATH="$(CURDIR)/tests/.cache/venv/bin:$$PATH" NODE_PATH="$(CURDIR)/tests/.cache/node/node_modules" \
		WHARFD="$(abspath $(TARGET))/debug/wharfd" $(TEST_BUILT) tests/run.sh

bench: ## benchmarks of the crates that have some
	$(CARGO) bench --locked --workspace --exclude wharf-tests --benches

docs: ## regenerate the generated pages of the manual
	WHARF_WRITE_DOCS=1 $(CARGO) test --locked -p wharf-daemon --test docs
	WHARF_WRITE_DOCS=1 $(CARGO) test --locked -p wharf-api --lib reference
	cd plugins && WHARF_WRITE_DOCS=1 CARGO_TARGET_DIR="$(abspath $(TARGET))/plugin-build" \
		$(CARGO) test --locked -p wharf-plugin-testing --test generated

install: ## install into PREFIX (/usr/local), below DESTDIR; run `make build` first
	install -D -m 0755 $(TARGET)/release/wharfd $(BINDIR)/wharfd
	install -m 0755 $(TARGET)/release/wharf-plugin $(BINDIR)/wharf-plugin
	install -D -m 0755 $(TARGET)/release/wharf-shim $(LIBEXECDIR)/wharf-shim
	install -d $(UNITDIR)
	sed 's|@BINDIR@|$(PREFIX)/bin|' packaging/wharfd.service >$(UNITDIR)/wharfd.service
	install -m 0644 packaging/wharfd.socket $(UNITDIR)/wharfd.socket
	@echo "Start it with: systemctl daemon-reload && systemctl enable --now wharfd"

uninstall: ## remove what install put there; data and configuration stay
	rm -f $(BINDIR)/wharfd $(BINDIR)/wharf-plugin $(LIBEXECDIR)/wharf-shim $(UNITDIR)/wharfd.service $(UNITDIR)/wharfd.socket
	-rmdir $(LIBEXECDIR)

clean: ## remove build results
	$(CARGO) clean
