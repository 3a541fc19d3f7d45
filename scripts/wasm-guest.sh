#!/bin/bash
# Makes `cargo build --target wasm32-unknown-unknown` produce a WebAssembly component.
#
#   eval "$(scripts/wasm-guest.sh)"       prints `export` lines on standard output, everything else on standard error
#
# The compiler is the active one when it has the target (`rustup target add wasm32-unknown-unknown`). Where that cannot be had, it is
# Debian's rustc-web with a standard library built from the source package of the same version: unpacked, not installed, into
# WHARF_GUEST_PREFIX (the user's cache directory), once; that takes about a minute, 600 MB and a network. Neither needs root.
# The linker is wasm-component-ld, which makes a component of what wasm-ld linked and the interfaces that the SDK embedded.
set -euo pipefail

TARGET=wasm32-unknown-unknown
RECIPE=1 # what `unpack` makes; another number makes it anew
PREFIX=${WHARF_GUEST_PREFIX:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/wharf/wasm-guest}

say() { echo "wasm-guest: $*" >&2; }
fail() { say "$*"; exit 1; }
has_target() { compgen -G "$("$1" --print target-libdir --target $TARGET 2>/dev/null)/libstd-*.rlib" >/dev/null; }
ready() { [ "$(cat "$PREFIX/recipe" 2>/dev/null)" = "$RECIPE" ] && has_target "$PREFIX/rustc"; }

# The version that the package lists offer; the same one for every package, since compiler and library must match exactly.
offered() { apt-cache show --no-all-versions rustc-web 2>/dev/null | sed -n 's/^Version: //p'; }
dependency() { apt-cache depends "$1" | sed -n "s/^ *Depends: \($2\)\$/\1/p" | sed -n 1p; }

# Fills the directory $1, which is not there.
unpack() {
    local root=$1 version std llvm driver lib missing release
    for tool in apt-get apt-cache dpkg-deb; do
        command -v $tool >/dev/null || fail "this compiler has no $TARGET: run 'rustup target add $TARGET'"
    done
    version=$(offered)
    if [ -z "$version" ] && [ "$(id -u)" -eq 0 ]; then
        apt-get -q update >&2
        version=$(offered)
    fi
    [ -n "$version" ] || fail "rustc-web is not in the package lists: run 'apt-get update', or 'rustup target add $TARGET'"
    std=$(dependency libstd-rust-web-dev 'libstd-rust-web-[0-9.]*')
    llvm=$(dependency "$std" 'libllvm[0-9]*')
    say "this compiler has no $TARGET: unpacking Debian's rustc-web $version into $PREFIX"

    mkdir -p "$root/debs"
    (cd "$root/debs" && apt-get -q download "rustc-web=$version" "libstd-rust-web-dev=$version" "$std=$version" \
        "rust-web-src=$version" "$llvm") >&2
    for deb in "$root"/debs/*.deb; do
        case $deb in
            */rust-web-src_*) dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --wildcards './usr/src/rustc-*/library' './usr/lib/rustlib/src' ;;
            *) dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --exclude ./usr/share/doc ;;
        esac
    done
    driver=$(compgen -G "$root/usr/lib/*/librustc_driver-*.so") || fail "rustc-web $version holds no compiler"
    lib=$(dirname "$driver")
    # What LLVM needs and this machine lacks; usually nothing.
    missing=$(LD_LIBRARY_PATH=$lib ldd "$driver" "$lib"/libLLVM*.so* | sed -n 's/^\s*\(\S*\) => not found.*/\1/p' | sort -u)
    if [ -n "$missing" ]; then
        say "also unpacking what holds" $missing
        (cd "$root/debs" && mkdir more && cd more && apt-get -q download libz3-4 libedit2 libbsd0 libmd0 libxml2 libffi8 >&2 &&
            for deb in *.deb; do dpkg-deb -x "$deb" "$root"; done)
    fi
    rm -rf "$root/debs"

    # Finds itself, since the directory is renamed when it is complete.
    cat >"$root/rustc" <<EOF
#!/bin/sh
root=\$(dirname "\$(readlink -f "\$0")")
LD_LIBRARY_PATH=\$root/${lib#"$root/"}\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH} exec "\$root/usr/bin/rustc" "\$@"
EOF
    chmod 755 "$root/rustc"
    release=$("$root/rustc" -vV | sed -n 's/^release: //p')
    [ -d "$root/usr/src/rustc-$release/library" ] || fail "the packages do not match: rustc $release, library $(ls "$root/usr/src")"
    build_library "$root"
    rm -rf "$root/usr/src"
    has_target "$root/rustc" || fail "building the standard library left none"
    echo $RECIPE >"$root/recipe"
}

# The standard library into the compiler's own directory: afterwards it is an ordinary toolchain, without unstable flags.
build_library() {
    local seed=$1/seed lib=$1/usr/lib/rustlib/$TARGET/lib
    mkdir -p "$seed/src" "$lib"
    printf '[package]\nname = "seed"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n' >"$seed/Cargo.toml"
    : >"$seed/src/lib.rs"
    (cd "$seed" && env -u RUSTC_WRAPPER -u RUSTC_WORKSPACE_WRAPPER -u CARGO_BUILD_TARGET -u CARGO_ENCODED_RUSTFLAGS \
        RUSTC="$1/rustc" RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes CARGO_TARGET_DIR="$seed/target" \
        CARGO_PROFILE_RELEASE_OPT_LEVEL=3 CARGO_PROFILE_RELEASE_DEBUG=false \
        cargo build -q --release --target $TARGET -Zbuild-std=std,panic_abort) >&2
    find "$seed/target/$TARGET/release/deps" -name 'lib*.rlib' ! -name 'libseed-*' -exec cp {} "$lib/" \;
    rm -rf "$seed"
}

compiler=${RUSTC:-rustc}
if ! has_target "$compiler"; then
    compiler=$PREFIX/rustc
    if ! ready; then
        mkdir -p "$(dirname "$PREFIX")"
        exec 9>"$PREFIX.lock"
        flock 9 # another one may be at it
        if ! ready; then
            rm -rf "$PREFIX.partial"
            unpack "$PREFIX.partial"
            rm -rf "$PREFIX"
            mv "$PREFIX.partial" "$PREFIX"
        fi
        exec 9>&-
    fi
fi

# Every toolchain of rustup brings both linkers along.
linker=$(command -v wasm-component-ld || true)
wasm_ld=$(command -v wasm-ld || true)
host=$("$compiler" -vV | sed -n 's/^host: //p')
for sysroot in "$(rustc --print sysroot 2>/dev/null || true)" "$("$compiler" --print sysroot)"; do
    bin=$sysroot/lib/rustlib/$host/bin
    if [ -z "$linker" ] && [ -x "$bin/wasm-component-ld" ]; then linker=$bin/wasm-component-ld; fi
    if [ -z "$wasm_ld" ] && [ -x "$bin/gcc-ld/wasm-ld" ]; then wasm_ld=$bin/gcc-ld/wasm-ld; fi
done
[ -n "$linker" ] || fail "no wasm-component-ld: run 'cargo install wasm-component-ld'"
[ -n "$wasm_ld" ] || fail "no wasm-ld: install Debian's package lld"

# cargo tells compilers apart by their versions, and two standard libraries that were built in different places are different ones.
library=$(cat "$("$compiler" --print target-libdir --target $TARGET)"/libstd-*.rlib | cksum | cut -d' ' -f1)

# The random numbers of guests are the engine's (`wharf-plugin`, feature getrandom).
cat <<EOF
export RUSTC='$compiler'
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER='$linker'
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS='-Clink-arg=--wasm-ld-path=$wasm_ld --cfg getrandom_backend="custom" --cfg guest_library="$library"'
export WHARF_WASM_LD='$wasm_ld'
EOF
