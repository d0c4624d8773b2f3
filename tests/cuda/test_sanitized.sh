#!/usr/bin/env bash
# Kernels and the code around them under AddressSanitizer and UndefinedBehaviorSanitizer, on the emulated device.
# timeout: 900
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}/sanitized tests="backend env fused learning"
unset MAKEFLAGS MAKELEVEL MAKEOVERRIDES
if ! printf 'int main(void) { return 0; }' | g++ -fsanitize=address,undefined -x c++ -o /dev/null - 2>/dev/null; then
    echo "ok - device_code_under_sanitizers # SKIP g++ has no sanitizers here"
    exit 0
fi
mkdir -p "$build"
# Little optimisation: with more, compiling takes longer than the tests.
# shellcheck disable=SC2046
if ! make BUILD="$build" CUDA=emulated SAN=address,undefined OPT="-O1 -g -fno-math-errno -fno-trapping-math -fopenmp" \
    $(for t in $tests; do echo "$build/tests/test_${t}_cuda"; done) >"$build/log" 2>&1; then
    echo "not ok - device_code_builds_with_sanitizers: $(grep -m3 -E 'error|undefined' "$build/log" | tr '\n' '|')"
    exit 1
fi
failed=0
for t in $tests; do
    if MAPPO_NO_ARENA=1 CMOCKA_MESSAGE_OUTPUT=stdout ASAN_OPTIONS=detect_leaks=1 "$build/tests/test_${t}_cuda" >"$build/$t.log" 2>&1; then
        echo "ok - test_${t}_cuda is clean under sanitizers"
    else
        failed=1
        echo "not ok - test_${t}_cuda is clean under sanitizers: $(grep -m2 -E 'ERROR:|runtime error|FAILED' "$build/$t.log" || tail -3 "$build/$t.log")"
    fi
done
exit $failed
