#!/bin/bash
# The first-party plugins, the SDK and its examples.
#
#   scripts/plugins.sh build [NAME …]     into target/plugins/NAME/{config.json,rootfs/}, as `docker plugin create NAME DIR` wants it;
#                                         the same is in plugins/NAME/dist
#   scripts/plugins.sh test               lint and run their tests, which need no engine
#   scripts/plugins.sh hello [LANG …]     what `wharf-plugin new` makes, of every kind and in every language: built, tested in the plugin
#                                         host, measured, and packed
#
# A directory of plugins/ or plugin-sdk/examples/ with a config.json is one.
set -euo pipefail
cd "$(dirname "$0")/.."

TARGET=${CARGO_TARGET_DIR:-$PWD/target}
OUT=$TARGET/plugins
export CARGO_TARGET_DIR=$TARGET/plugin-build

fail() { echo "plugins: $*" >&2; exit 1; }

# Where a plugin is.
source_of() {
    local place
    for place in plugins plugin-sdk/examples; do
        if [ -f "$place/$1/config.json" ]; then echo "$place/$1"; return; fi
    done
    fail "there is no plugin $1"
}

# Each at once or not at all: what uses the directory never sees half of it.
pack() {
    local name=$1 source new=$OUT/.$1.new
    source=$(source_of "$1")
    local component=$CARGO_TARGET_DIR/wasm32-unknown-unknown/guest/${name//-/_}.wasm
    # A component begins with this, a core module with another version.
    [ "$(od -An -tx1 -N8 "$component" | tr -d ' ')" = 0061736d0d000100 ] || fail "$component is no component"
    rm -rf "$new"
    mkdir -p "$new/rootfs"
    cp "$source/config.json" "$new/"
    cp "$component" "$new/rootfs/plugin.wasm"
    if [ -f "$source/settings.schema.json" ]; then cp "$source/settings.schema.json" "$new/rootfs/"; fi
    rm -rf "${OUT:?}/$name"
    mv "$new" "$OUT/$name"
    rm -rf "$source/dist"
    cp -R "$OUT/$name" "$source/dist"
    echo "$OUT/$name"
}

build() {
    local environment name
    environment=$(scripts/wasm-guest.sh)
    eval "$environment"
    for name in "$@"; do
        source_of "$name" >/dev/null
    done
    # One invocation, so that what they share is built once.
    (cd plugins && cargo build --locked --profile guest --target wasm32-unknown-unknown "${@/#/--package=}")
    for name in "$@"; do pack "$name"; done
}

# Programs of `make setup` first; the plugins stand side by side, with the packages of node above them.
hello() {
    local place=$CARGO_TARGET_DIR/hello language kinds kind
    rm -rf "$place"
    mkdir -p "$place"
    ln -s "$PWD/tests/.cache/guest-node/node_modules" "$place/node_modules"
    (build example-several)
    export PATH=$TARGET/debug:$PWD/tests/.cache/guest-python/bin:$PATH WHARF_SDK=$PWD/plugin-sdk CARGO_TARGET_DIR=$CARGO_TARGET_DIR/new
    # A component of several kinds has no template; its cases are run as those of the others.
    cp -R "$OUT/example-several" "$place/"
    wharf-plugin test --dir "$place/example-several" plugin-sdk/examples/example-several/tests/cases.jsonl
    for language in "$@"; do
        kinds=authz
        if [ "$language" = rust ]; then kinds="authz logging log-transform volume metrics ipam"; fi
        for kind in $kinds; do
            wharf-plugin new --kind "$kind" --lang "$language" "$place/hello-$kind-$language"
            (
                cd "$place/hello-$kind-$language"
                wharf-plugin build
                wharf-plugin test
                wharf-plugin bench --seconds 1
                wharf-plugin pack
                if [ "$language" = rust ]; then
                    cargo fmt --check
                    cargo clippy -q --all-targets -- -D warnings
                    cargo test -q
                fi
            )
        done
    done
}

all() {
    local config
    for config in plugins/*/config.json plugin-sdk/examples/*/config.json; do basename "$(dirname "$config")"; done
}

case ${1:-} in
    build)
        shift
        # shellcheck disable=SC2046 # a list of names
        [ $# -gt 0 ] || set -- $(all)
        build "$@"
        ;;
    test)
        cd plugins
        cargo fmt --all --check
        cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
        cargo test --locked --workspace --all-features
        ;;
    hello)
        shift
        [ $# -gt 0 ] || set -- rust python javascript c
        hello "$@"
        ;;
    *) sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
