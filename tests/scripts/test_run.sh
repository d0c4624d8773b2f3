#!/usr/bin/env bash
# tests/run.sh counts what test programs print: passed, failed, skipped, crashed, silent, unfinished.
# timeout: 60
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d --suffix=.mappo-run) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/a folder/tests/unit" && cp "$root/tests/run.sh" "$work/a folder/tests/" && cd "$work/a folder" || exit 1
failed=0
for name in BUILD EMULATED MAPPO MAPPO_EMULATED MAPPO_MPICH MAPPO_NO_ARENA; do unset $name; done # of the tests: what is tried here has a folder of its own
check() { # NAME EXPECTED ACTUAL
    if [ "$2" = "$3" ]; then echo "ok - $1"; else
        failed=1
        echo "not ok - $1: expected \"$2\", got \"$3\""
        sed 's/^/# /' "$work/log"
    fi
}
# counts NAME RC COUNTS LINES...: a test program of these lines alone.
counts() {
    { echo '#!/bin/bash' && printf '%s\n' "${@:4}"; } >tests/unit/test_sample.sh
    chmod +x tests/unit/test_sample.sh
    tests/run.sh -j 1 >"$work/log" 2>&1
    check "$1" "$2 $3" "$? $(tail -1 "$work/log")"
}
counts passed_and_skipped 0 "2 passed, 0 failed, 1 skipped" "echo 'ok - a'" "echo 'ok 2 - b'" "echo 'ok - c # SKIP needs more'"
check the_reason_of_a_skip_is_shown 1 "$(grep -c 'skipped: c needs more' "$work/log")"
counts cmocka_writes_skips_behind_ok_or_not_ok 0 "1 passed, 0 failed, 2 skipped" "echo 1..3" "echo 'ok 1 - a'" "echo 'not ok 2 # SKIP b'" "echo 'ok 3 # SKIP c'"
check and_these_are_named "1 1" "$(grep -c 'skipped: b$' "$work/log") $(grep -c 'skipped: c$' "$work/log")"
counts a_skip_hides_no_failure 1 "1 passed, 1 failed, 1 skipped" "echo 1..3" "echo 'ok 1 - a'" "echo 'not ok 2 # SKIP b'" "echo 'not ok 3 - c'; exit 1"
check only_the_failure_is_printed_as_one 1 "$(grep -c '^ *not ok' "$work/log")"
counts a_word_that_begins_with_skip_is_no_skip 1 "0 passed, 1 failed, 0 skipped" "echo 'not ok - skips: # SKIPPED two of three'"
counts a_failure 1 "0 passed, 1 failed, 0 skipped" "echo 'not ok - a: expected 1, got 2'; exit 1"
counts a_failure_without_an_exit_code 1 "0 passed, 1 failed, 0 skipped" "echo 'not ok - a'"
counts an_exit_code_without_a_failure 1 "1 passed, 1 failed, 0 skipped" "echo 'ok - a'; exit 3"
counts a_crash 1 "1 passed, 1 failed, 0 skipped" "echo 'ok - a'; kill -SEGV \$\$"
counts silence 1 "0 passed, 1 failed, 0 skipped" "exit 0"
counts fewer_than_announced 1 "1 passed, 2 failed, 0 skipped" "echo 1..3; echo 'ok 1 - a'"
counts a_hang 1 "0 passed, 1 failed, 0 skipped" "# timeout: 1" "sleep 30"

# ---- what --quick leaves out, and what runs beside what ----
program() { # NAME LINES...: a test program besides
    { echo '#!/bin/bash' && printf '%s\n' "${@:2}"; } >"tests/unit/test_$1.sh"
    chmod +x "tests/unit/test_$1.sh"
}
program sample "echo 'ok - a'"
program long "# slow" "echo 'ok - b'"
tests/run.sh --quick >"$work/log" 2>&1
check quick_leaves_out_what_is_slow_and_names_it "0 1 passed, 0 failed, 0 skipped 1" "$? $(tail -1 "$work/log") $(grep -c '^left out as slow: unit/test_long.sh$' "$work/log")"
tests/run.sh -j 1 >"$work/log" 2>&1
check without_it_all_run_and_the_slow_first "0 2 passed, 0 failed, 0 skipped yes" "$? $(tail -1 "$work/log") $(head -1 "$work/log" | grep -q test_long && echo yes)"
program longest "# slow" "# timeout: 200" "echo 'ok - c'"
tests/run.sh -j 1 >"$work/log" 2>&1
check and_of_these_what_may_run_longest "test_longest.sh test_long.sh test_sample.sh" "$(sed -n 's,^ok .* unit/\(test_[a-z.]*\) .*,\1,p' "$work/log" | tr '\n' ' ' | sed 's/ $//')"
rm -f tests/unit/test_longest.sh
tests/run.sh --quick long >"$work/log" 2>&1
check a_slow_test_is_not_quick_by_name "1 0 passed, 1 failed, 0 skipped" "$? $(tail -1 "$work/log")"
# Each of these waits for the three others: four at once, of which two count for none.
for name in sample long waiter sleeper; do
    program $name "$([[ $name != *er ]] || echo '# waits')" "touch '$work/began-$name'" \
        "for ((i = 0; i < 200; i++)); do [ \$(ls '$work' | grep -c '^began-') = 4 ] && echo 'ok - four' && exit; sleep 0.1; done; echo 'not ok - four'"
done
tests/run.sh >"$work/log" 2>&1
check two_that_wait_run_beside_two "0 4 passed, 0 failed, 0 skipped" "$? $(tail -1 "$work/log")"
rm -f tests/unit/test_sleeper.sh
single="[ -e '$work/one' ] && echo 'not ok - alone' || echo 'ok - alone'; touch '$work/one'; sleep 0.3; rm -f '$work/one'"
program sample "$single" && program waiter "# waits" "$single" && program long "$single"
tests/run.sh -j 1 >"$work/log" 2>&1
check one_at_a_time_is_one "0 3 passed, 0 failed, 0 skipped" "$? $(tail -1 "$work/log")"
rm -f tests/unit/test_waiter.sh tests/unit/test_long.sh

# ---- programs of tests/cuda: the newer of the plain one and the one with sanitizers, where the device is emulated ----
mkdir -p tests/cuda build/tests build/emulated/tests build/sanitized/tests && rm -f tests/unit/test_*.sh && touch tests/cuda/test_x.c
for way in build build/emulated build/sanitized; do
    printf '#!/bin/sh\necho "ok - %s ${MAPPO_NO_ARENA:-0}"\n' $way >$way/tests/test_x && chmod +x $way/tests/test_x
    touch -d "2001-01-0$((${#way} / 5))" $way/tests/test_x # build 1, build/emulated 2, build/sanitized 3
done
ran() { "$@" tests/run.sh -v cuda >"$work/log" 2>&1 && sed -n 's/^ *ok - \(.*\)/\1/p' "$work/log"; }
check programs_under_sanitizers_are_taken "build/sanitized 1" "$(ran env)"
check on_a_real_device_they_are_not "build 0" "$(ran env EMULATED=build)"
touch build/emulated/tests/test_x
check nor_if_they_are_older "build/emulated 0" "$(ran env)"

for help in -h --help; do
    tests/run.sh $help >"$work/log" 2>&1
    check "help_is_printed ($help)" "0 1" "$? $(grep -c 'tests/run.sh \[--quick\]' "$work/log")"
done
for wrong in "--all" "-j" "-j 0" "-j two"; do
    # shellcheck disable=SC2086
    timeout 20 tests/run.sh $wrong >"$work/log" 2>&1
    check "wrong_options_are_refused ($wrong)" "2 1" "$? $(grep -c '^tests/run.sh:' "$work/log")"
done
exit $failed
