#!/usr/bin/env bash
# tests/cuda/test_sanitizer.sh tells what compute-sanitizer found, not how the program under it ended: with a stand-in for the sanitizer.
set -u
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d --suffix=.mappo-verdict) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bin" "$work/build/tests"
printf '#!/bin/sh\n' >"$work/build/tests/test_backend_cuda" && chmod +x "$work/build/tests/test_backend_cuda"
failed=0
# verdict NAME OK BAD SKIPPED EXIT-CODE LINES...: what the sanitizer prints and ends with, the same for each of its three tools.
verdict() {
    { echo '#!/bin/sh' && printf 'echo "%s"\n' "${@:6}" && echo "exit $5"; } >"$work/bin/compute-sanitizer"
    chmod +x "$work/bin/compute-sanitizer"
    PATH=$work/bin:$PATH BUILD=$work/build EMULATED=$work/build tests/cuda/test_sanitizer.sh >"$work/log" 2>&1
    local got
    got="$(grep '^ok' "$work/log" | grep -vc '# SKIP') $(grep -c '^not ok' "$work/log") $(grep -c '# SKIP' "$work/log")"
    if [ "$got" = "$2 $3 $4" ]; then
        echo "ok - $1"
    else
        failed=1
        echo "not ok - $1: expected \"$2 $3 $4\" (passed, failed, skipped), got \"$got\""
        sed 's/^/# /' "$work/log"
    fi
}
verdict nothing_found 3 0 0 0 "========= COMPUTE-SANITIZER" "ok 1 - a" "========= ERROR SUMMARY: 0 errors"
verdict nothing_found_in_a_program_that_fails 3 0 0 1 "not ok 1 - a" "========= Target application returned an error" "========= ERROR SUMMARY: 0 errors"
verdict no_hazards_in_a_program_that_fails 3 0 0 1 "not ok 1 - a" "========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)"
verdict errors_of_a_program_that_succeeds 0 3 0 0 "ok 1 - a" "========= Invalid __global__ read of size 4 bytes" "========= ERROR SUMMARY: 2 errors"
verdict one_error 0 3 0 0 "========= ERROR SUMMARY: 1 error"
verdict hazards 0 3 0 0 "========= RACECHECK SUMMARY: 3 hazards displayed (1 error, 2 warnings)"
verdict leaks_come_before_the_last_word 0 3 0 0 "========= LEAK SUMMARY: 0 bytes leaked" "========= ERROR SUMMARY: 4 errors"
verdict no_last_word_is_no_verdict 0 3 0 139 "ok 1 - a"
verdict not_permitted 0 0 3 1 "========= Error: Target application terminated before first instrumented API call" "========= unable to launch"
verdict the_programs_own_words_are_not_the_sanitizers 3 0 0 0 "ok 2 # SKIP tf32 is not supported" "========= ERROR SUMMARY: 0 errors"
exit $failed
