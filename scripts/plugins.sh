#!/bin/bash
# The first-party plugins.
#
#   scripts/plugins.sh build [NAME …]     into target/plugins/NAME/{config.json,rootfs/}, as `docker plugin create NAME DIR` wants it;
#                                         the same is in plugins/NAME/dist
#   scripts/plugins.sh test               lint and run their tests, which need no engine
#
# A directory of plugins/ with a config.json is one.
set -euo pipefail
cd "$(dirname "$0")/.."

OUT=${CARGO_TARGET_DIR:-$PWD/target}/plugins
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/plugin-build

fail() { echo "plugins: $*" >&2; exit 1; }

# Each at once or not at all: what uses the directory never sees half of it.
pack() {
    local name=$1 source=plugins/$1 new=$OUT/.$1.new
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
        [ -f "plugins/$name/config.json" ] || fail "there is no plugin $name"
    done
    # One invocation, so that what they share is built once.
    (cd plugins && cargo build --locked --profile guest --target wasm32-unknown-unknown "${@/#/--package=}")
    for name in "$@"; do pack "$name"; done
}

all() {
    local config
    for config in plugins/*/config.json; do basename "$(dirname "$config")"; done
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
    *) sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
