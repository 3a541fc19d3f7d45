#!/bin/bash
# Runs the end-to-end tests: all suites with the built-in runtime, those that touch the runtime again with runc, and all of
# them against dockerd, which proves the tests. Exit code 0 means that every part passed and the machine is as it was before.
#
#   tests/run.sh [FILTER]      only tests whose name contains FILTER
#
#   WHARFD, WHARF_SHIM         the binaries; default: the newest wharfd in target, and the monitor beside it
#   WHARF_TEST_CALIBRATE=0     leaves out dockerd; it is also left out when it is not installed
#   WHARF_TEST_RUNTIMES        runtimes to judge, "builtin runc" by default
#   WHARF_TEST_LIMIT           seconds for the whole, 1800 by default
#   WHARF_TEST_SEED            repeats the random kills of an earlier run; other requests of the API's description
set -uo pipefail
cd "$(dirname "$0")/.."
filter=${1:-}
runtimes=${WHARF_TEST_RUNTIMES:-builtin runc}
deadline=$((SECONDS + ${WHARF_TEST_LIMIT:-1800}))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

[ "$(id -u)" = 0 ] || { echo "tests/run.sh: the end-to-end tests start containers, so they need root" >&2; exit 1; }
for program in docker ip nft busybox; do
    command -v "$program" >/dev/null || { echo "tests/run.sh: $program is missing: run 'make setup'" >&2; exit 1; }
done

# Traces of our daemons on this machine. Each carries the directory of its test, so others' containers do not count.
traces() {
    local pid
    for pid in /proc/[0-9]*; do
        tr '\0' ' ' 2>/dev/null <"$pid/cmdline" | grep -a 'whe2e-' | sed "s|^|process ${pid#/proc/}: |"
    done
    grep -o '[^ ]*whe2e-[^ ]*' /proc/self/mountinfo | sed 's/^/mount /'
    find /sys/fs/cgroup -maxdepth 4 -type d -name '*whe2e-*' 2>/dev/null | sed 's/^/control group /'
    find /run/netns /tmp -maxdepth 1 -name 'whe2e-*' 2>/dev/null | sed 's/^/file /'
    # Test daemons live in network namespaces of their own: nothing of theirs belongs into the machine's.
    ip -o link | grep -o 'wharftest0' | sed 's/^/interface /'
    nft -s list ruleset 2>/dev/null | grep 'wharftest0' | sed 's/^/rule /'
}
traces | sort >"$work/before"

cargo test -q --locked -p wharf-tests --test e2e --no-run || exit 1
declare -a summary
failed=0

# part NAME VARIABLE=VALUE... : one run of the test binary, stopped when the time for the whole is over
part() {
    local name=$1 left=$((deadline - SECONDS)) log status begin=$SECONDS
    shift
    log=$work/log
    if [ "$left" -le 0 ]; then
        summary+=("not run  $name: no time left")
        failed=1
        return
    fi
    echo "== $name"
    env RUST_BACKTRACE=0 "$@" timeout -k 10 "$left" cargo test -q --locked -p wharf-tests --test e2e -- $filter 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    [ "$status" != 124 ] || echo "stopped after $left s" | tee -a "$log"
    local numbers
    numbers=$(grep -ahE '^(Wharf|Dockerd), .*passed' "$log" | tail -1 | sed 's/^[^:]*: //')
    if [ "$status" = 0 ]; then summary+=("passed   $name: $numbers, $((SECONDS - begin)) s"); else
        summary+=("FAILED   $name: ${numbers:-no result}, $((SECONDS - begin)) s")
        while read -r line; do summary+=("           $line"); done < <(grep -aE '\.\.\. FAILED$|^FAILED ' "$log" | sed 's/^test //')
        failed=1
    fi
    while read -r line; do summary+=("           $line"); done < <(grep -a '^skipped ' "$log")
}

first=1
for runtime in $runtimes; do
    if [ "$runtime" != builtin ] && ! command -v "$runtime" >/dev/null; then
        summary+=("not run  wharf with $runtime: it is not installed")
        continue
    fi
    # What the first run has shown about the API does not change with the runtime.
    suites=
    [ $first = 1 ] || suites=cli_run,cli_lifecycle,restart,security
    part "wharf with $runtime" WHARF_TEST_ENGINE=wharf WHARF_TEST_RUNTIME="$runtime" WHARF_TEST_SUITES=$suites
    first=0
done
if [ "${WHARF_TEST_CALIBRATE:-1}" = 0 ]; then
    summary+=("not run  dockerd: WHARF_TEST_CALIBRATE=0")
elif ! command -v dockerd >/dev/null; then
    summary+=("not run  dockerd: it is not installed")
else
    part "dockerd (proves the tests)" WHARF_TEST_ENGINE=dockerd WHARF_TEST_RUNTIME= WHARF_TEST_SUITES=
fi

traces | sort >"$work/after"
left=$(comm -13 "$work/before" "$work/after")
if [ -n "$left" ]; then
    summary+=("FAILED   left on the machine:")
    while read -r line; do summary+=("           $line"); done <<<"$left"
    failed=1
fi

echo "== summary"
printf '%s\n' "${summary[@]}"
exit $failed
