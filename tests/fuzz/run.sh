#!/bin/bash
# Builds the fuzz targets and runs them, as many at a time as there are processors. Stable Rust is enough: LLVM's coverage
# instrumentation is asked for by flags, and libFuzzer comes as a crate.
#
#   tests/fuzz/run.sh SECONDS [TARGET...]    SECONDS for each target; all of them by default
#
#   FUZZ_SEED                                the seed of the random numbers; another one each time by default
#
# What was found interesting is kept in <target directory>/fuzz/corpus and used again the next time, beside the committed seeds.
# A crash leaves its input in <target directory>/fuzz/artifacts, and the command that repeats it is printed.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:?usage: tests/fuzz/run.sh SECONDS [TARGET...]}
shift
out=${CARGO_TARGET_DIR:-../../target}
mkdir -p "$out/fuzz"
out=$(cd "$out/fuzz" && pwd)
if [ $# -gt 0 ]; then targets=$*; else targets=$(cd targets && ls ./*.rs | sed 's|^./||; s|\.rs$||'); fi

# `--target` keeps the instrumentation away from build scripts and macros.
triple=$(rustc -vV | sed -n 's/^host: //p')
instrument="--cfg fuzzing -C passes=sancov-module
    -C llvm-args=-sanitizer-coverage-level=3 -C llvm-args=-sanitizer-coverage-inline-8bit-counters
    -C llvm-args=-sanitizer-coverage-pc-table -C llvm-args=-sanitizer-coverage-trace-compares"
# Not `--locked`: the lock file follows the dependencies of the crates, which are another workspace's.
RUSTFLAGS=$(echo $instrument) ${CARGO:-cargo} build --bins --target "$triple" --target-dir "$out"
export BIN="$out/$triple/debug" OUT="$out" SECONDS_EACH="$seconds"

# Archives as GNU tar writes them in all its formats are the best seeds of the tar reader, and too dull to commit.
tar_seeds() {
    local dir=$OUT/corpus/tar_read work format
    [ ! -e "$dir/gnu" ] || return 0
    work=$(mktemp -d)
    mkdir -p "$dir" "$work/d"
    echo text >"$work/d/file"
    ln "$work/d/file" "$work/d/hard"
    ln -s file "$work/d/soft"
    echo long >"$work/d/$(printf 'n%.0s' {1..120})"
    truncate -s 300K "$work/d/sparse"
    echo end >>"$work/d/sparse"
    for format in v7 ustar gnu oldgnu pax; do tar -C "$work" -cSf "$dir/$format" --format=$format d 2>/dev/null || true; done
    for format in 0.0 0.1 1.0; do tar -C "$work" -cSf "$dir/sparse-$format" --format=pax --sparse-version=$format d; done
    rm -r "$work"
}

one() {
    local target=$1 log status
    local corpus=$OUT/corpus/$target artifacts=$OUT/artifacts/$target
    mkdir -p "$corpus" "$artifacts"
    log=$artifacts/log
    # In memory where there is room for it: some targets write thousands of files a second.
    TMPDIR=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")" whfuzz-XXXXXX)
    export TMPDIR
    set -- "-artifact_prefix=$artifacts/" "-seed=${FUZZ_SEED:-0}"
    [ ! -e "dictionaries/$target.dict" ] || set -- "$@" "-dict=dictionaries/$target.dict"
    # A hang is 20 seconds for one input; a leak or a bomb is a gigabyte.
    if "$BIN/$target" "-max_total_time=$SECONDS_EACH" -timeout=20 -rss_limit_mb=1024 -max_len=16384 "$@" \
        "$corpus" $([ ! -d "seeds/$target" ] || echo "seeds/$target") >"$log" 2>&1; then status=0; else status=$?; fi
    rm -rf "$TMPDIR"
    echo "$target: seed $(sed -n 's/^INFO: Seed: //p' "$log"), $(sed -n 's/^Done \(.*\) in .*/\1/p' "$log")"
    [ $status != 0 ] || return 0
    echo "$target: FAILED"
    grep -av '^#[0-9]' "$log" | tail -n 40
    echo "$target: repeat it with: $BIN/$target $(sed -n "s/.*Test unit written to //p" "$log" | tail -1)"
    return 1
}
export -f one

tar_seeds
# A failure of one target does not keep the others from running.
echo $targets | tr ' ' '\n' | xargs -P "$(nproc)" -I{} bash -c 'one {}'
