#!/usr/bin/env bash
# tests/run.sh counts what test programs print: passed, failed, skipped, crashed, silent, unfinished.
# timeout: 60
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d --suffix=.mappo-run) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/a folder/tests/unit" && cp "$root/tests/run.sh" "$work/a folder/tests/" && cd "$work/a folder" || exit 1
failed=0
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

for help in -h --help; do
    tests/run.sh $help >"$work/log" 2>&1
    check "help_is_printed ($help)" "0 1" "$? $(grep -c 'tests/run.sh \[-j N\]' "$work/log")"
done
for wrong in "--all" "-j" "-j 0" "-j two"; do
    # shellcheck disable=SC2086
    timeout 20 tests/run.sh $wrong >"$work/log" 2>&1
    check "wrong_options_are_refused ($wrong)" "2 1" "$? $(grep -c '^tests/run.sh:' "$work/log")"
done
exit $failed
