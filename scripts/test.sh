#!/usr/bin/env bash
# Installs what the tests need, builds, and runs all tests.
#   scripts/test.sh [-v] [NAME ...]      NAME: part of a test's path, such as unit, mpi or test_checkpoint; -v: also what passed
# What is built for the tests lies in build/test (BUILD=... elsewhere): a program in build stays as it is.
# The last line, alone, is `N passed, N failed, N skipped`; exit 1 if anything failed.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # as `sh test.sh`
set -u +o posix
cd "$(dirname "$0")/.." || exit 1
chosen=()
for argument in "$@"; do
    case $argument in
    -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' scripts/test.sh && exit 0 ;;
    -v) ;;
    -*) echo "test.sh: unknown option $argument (scripts/test.sh --help)" >&2 && exit 2 ;;
    *) chosen+=("$argument") ;;
    esac
done
# A name that is no part of any test's path is known before minutes of building.
for name in "${chosen[@]+"${chosen[@]}"}"; do
    compgen -G "tests/*/test_*" | grep -qF -- "$name" || { echo "test.sh: no test's path has \"$name\" in it (ls tests/*/test_*)" >&2 && exit 2; }
done
started=$(date +%s)
export BUILD=${BUILD:-build/test}
jobs=$(nproc 2>/dev/null || echo 2)

spent() { # WORDS: how long it took until now; only this shell knows the CPU time of what it has waited for
    times >"$BUILD/times"
    echo "mappo: $1 $(($(date +%s) - started)) s, $(tail -1 "$BUILD/times" | tr ms '  ' | awk '{printf "%.0f", $1 * 60 + $2 + $3 * 60 + $4}') s of CPU time"
}

fail() { # what could not even begin counts as one failed test
    echo "not ok - $1"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
}

scripts/setup.sh --tests || echo "mappo: going on with what is here; tests whose tools are missing are skipped"
tests/python.sh --install >/dev/null

mkdir -p "$BUILD"
echo "mappo: building"
# Device code for every architecture whose text differs or of whose code something is promised (tests/cuda/test_compile.sh); the kernels of most
# environments as text. Of what a debugger reads, lines and functions: a quarter of the C compiler's time went into the rest.
export CUDA_ARCH=${CUDA_ARCH:-tested} CUDA_ENV_ARCH=${CUDA_ENV_ARCH:-none} SYMBOLS=${SYMBOLS:--g1}
# All at once, so that no core waits for the end of one part before it begins another: the program and its tests, the same on an emulated
# device, tests under sanitizers, the program with the other MPI.
goals=(all tests emulated)
if printf 'int main(void) { return 0; }' | g++ -fsanitize=address,undefined -x c++ -o "$BUILD/try" - 2>/dev/null; then
    goals+=(sanitized)
else
    echo "skipped: tests under sanitizers: g++ has none here"
fi
command -v mpicc.mpich >/dev/null 2>&1 && goals+=(mpich)
broken=0
if ! make -k -j"$jobs" WERROR=1 "${goals[@]}" >"$BUILD/build.log" 2>&1; then
    grep -E 'error|Error|undefined' "$BUILD/build.log" | head -40
    make -q all >/dev/null 2>&1 || { tail -40 "$BUILD/build.log" && fail "make: the program does not build"; }
    broken=1
    echo "not ok - make ${goals[*]}: not all of it builds (whole log: $BUILD/build.log)"
fi
if grep -q 'warning:' "$BUILD/build.log"; then
    broken=$((broken + 1))
    echo "not ok - the build prints no warnings"
    grep 'warning:' "$BUILD/build.log" | sort -u | head -20
fi
spent "built after"

: >"$BUILD/tests.log" # for tail, which may be the first to start
tests/run.sh "$@" >>"$BUILD/tests.log" 2>&1 &
runner=$!
trap 'kill $runner 2>/dev/null; wait $runner; exit 130' INT TERM
tail -n +1 -f --pid=$runner "$BUILD/tests.log" | sed -u '/^[0-9]* passed, [0-9]* failed, [0-9]* skipped$/d'
wait $runner
read -r passed failed skipped < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' "$BUILD/tests.log" | tail -1)
failed=$((${failed:-1} + broken))
spent "all took"
echo "${passed:-0} passed, $failed failed, ${skipped:-0} skipped"
[ $failed -eq 0 ]
