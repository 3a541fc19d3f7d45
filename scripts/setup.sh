#!/bin/sh
# Installs what is missing for building (`setup.sh build`) or for building, running and testing (`setup.sh all`).
# Looks at files and commands only, so it is quick when everything is there. Debian and its descendants.
set -eu
cd "$(dirname "$0")/.."

DOCKER_PY=7.1.0
SCHEMATHESIS=4.32.5
DOCKERODE=4.0.9
COMPONENTIZE_PY=0.25.1
COMPONENTIZE_JS=0.23.0
CACHE=tests/.cache
what=${1:-all}

have() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }
missing=
need() { missing="$missing $*"; }
wanted() { case " $missing " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }
explain() { echo "setup: $*" >&2; }

if ! have cargo; then
    explain "cargo is not in PATH. Install Rust first: https://rustup.rs"
    exit 1
fi

# Building: a C compiler for the linker and for libseccomp, which is linked statically into the monitor.
have gcc && have make || need build-essential
have pkg-config || need pkg-config
ls /usr/lib/*/libseccomp.a >/dev/null 2>&1 || need libseccomp-dev
# Running: the packet filter of the default network.
have nft || need nftables
if [ "$what" = all ]; then
    have g++ || need g++
    have ip || need iproute2
    have ps || need procps
    have runc || need runc
    have busybox || need busybox-static
    have docker || need docker-client
    have docker-registry || need docker-registry
    have node || need nodejs
    have npm || need npm
    have python3 || need python3
    # Plugins in C.
    have clang || need clang
    have wasm-ld || need lld
    [ -e /usr/lib/wasm32-wasi/libc.a ] || need wasi-libc
    [ -x "$CACHE/venv/bin/python" ] || dpkg -s python3-venv >/dev/null 2>&1 || need python3-venv
fi

# Packages that start a daemon when they are installed must not: a second engine would fight over bridges and sockets.
quiet_install() {
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f "$policy"' EXIT INT TERM
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

if [ -n "$missing" ]; then
    if [ "$(id -u)" -ne 0 ]; then
        explain "these Debian packages are missing:$missing"
        explain "installing them needs root; run: sudo make setup"
        exit 1
    fi
    if ! have apt-get; then
        explain "this is not Debian; install what these Debian packages hold by other means:$missing"
        exit 1
    fi
    explain "installing Debian packages:$missing"
    apt-get update -q
    if wanted docker-client; then
        # Since Debian 13 the command line client is a package of its own.
        if apt-cache show docker-cli >/dev/null 2>&1; then client=docker-cli; else client=docker.io; fi
        missing=$(echo "$missing" | sed "s/docker-client/$client/")
    fi
    # shellcheck disable=SC2086 # a list of package names
    quiet_install $missing
fi

[ "$what" = all ] || exit 0

# The clients that the end-to-end tests speak through. They live in the repository's cache, not in the system.
mkdir -p "$CACHE"
python=$CACHE/venv/docker-$DOCKER_PY-schemathesis-$SCHEMATHESIS
if [ ! -e "$python" ]; then
    explain "installing docker-py $DOCKER_PY and schemathesis $SCHEMATHESIS into $CACHE/venv"
    rm -rf "$CACHE/venv"
    python3 -m venv "$CACHE/venv"
    "$CACHE/venv/bin/pip" install --quiet --disable-pip-version-check "docker==$DOCKER_PY" "schemathesis==$SCHEMATHESIS"
    touch "$python"
fi
if [ ! -e "$CACHE/node/dockerode-$DOCKERODE" ]; then
    explain "installing dockerode $DOCKERODE into $CACHE/node"
    rm -rf "$CACHE/node"
    mkdir -p "$CACHE/node"
    echo '{"private":true}' >"$CACHE/node/package.json"
    npm install --silent --no-audit --no-fund --prefix "$CACHE/node" "dockerode@$DOCKERODE"
    touch "$CACHE/node/dockerode-$DOCKERODE"
fi
# What makes components of Python and JavaScript.
if [ ! -e "$CACHE/guest-python/componentize-py-$COMPONENTIZE_PY" ]; then
    explain "installing componentize-py $COMPONENTIZE_PY into $CACHE/guest-python"
    rm -rf "$CACHE/guest-python"
    python3 -m venv "$CACHE/guest-python"
    "$CACHE/guest-python/bin/pip" install --quiet --disable-pip-version-check "componentize-py==$COMPONENTIZE_PY"
    touch "$CACHE/guest-python/componentize-py-$COMPONENTIZE_PY"
fi
if [ ! -e "$CACHE/guest-node/componentize-js-$COMPONENTIZE_JS" ]; then
    explain "installing componentize-js $COMPONENTIZE_JS into $CACHE/guest-node"
    rm -rf "$CACHE/guest-node"
    mkdir -p "$CACHE/guest-node"
    echo '{"private":true}' >"$CACHE/guest-node/package.json"
    npm install --silent --no-audit --no-fund --prefix "$CACHE/guest-node" "@bytecodealliance/componentize-js@$COMPONENTIZE_JS"
    touch "$CACHE/guest-node/componentize-js-$COMPONENTIZE_JS"
fi
