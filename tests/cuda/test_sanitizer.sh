#!/usr/bin/env bash
# On a real GPU: compute-sanitizer finds nothing in the backend's cases: memory, races in shared memory, values that nobody wrote.
#   tests/cuda/test_sanitizer.sh [TOOL ...]      memcheck, racecheck, initcheck; each may take MAPPO_SANITIZER_SECONDS (550)
# slow
# timeout: 1800
set -u
cd "$(dirname "$0")/../.." || exit 1
program=${EMULATED:-${BUILD:-build}/emulated}/tests/test_backend_cuda
skip() {
    echo "ok - compute_sanitizer # SKIP $1"
    exit 0
}
[ "${EMULATED:-}" = "${BUILD:-build}" ] || skip "needs a GPU (make test-gpu)"
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null) || skip "needs compute-sanitizer"
work=$(mktemp -d --suffix=.mappo-sanitizer) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0 limit=${MAPPO_SANITIZER_SECONDS:-550}
[ $# -gt 0 ] || set -- memcheck racecheck initcheck
for tool in "$@"; do
    # Devices are found, memory is asked for and libraries are opened in ways that fail by design: those answers of the runtime are no errors.
    timeout "$limit" "$sanitizer" --tool $tool --report-api-errors no "$program" >"$work/$tool" 2>&1
    code=$?
    # The verdict is the sanitizer's own last word, "ERROR SUMMARY: 0 errors" or "RACECHECK SUMMARY: 0 hazards displayed …"; what the program's
    # cases say of themselves is for test_backend_cuda to tell.
    said=$(grep '^=========' "$work/$tool")
    found=$(sed -n 's/^=========.* SUMMARY: \([0-9]*\) \(error\|hazard\).*/\1/p' <<<"$said" | tail -1)
    beside=""
    [ $code = 0 ] || beside=" (the program under it ended with exit code $code)"
    if [ "$found" = 0 ]; then
        echo "ok - compute_sanitizer_$tool finds nothing$beside"
    elif [ -z "$found" ] && grep -qiE 'unable to launch|not supported|Error: Target|insufficient permission|could not be initialized' <<<"$said"; then
        echo "ok - compute_sanitizer_$tool # SKIP not permitted here: $(grep -m1 -iE 'unable|not supported|Error|permission|could not' <<<"$said")"
    elif [ -z "$found" ]; then
        failed=1
        echo "not ok - compute_sanitizer_$tool gave no verdict, exit code $code$([ $code = 124 ] && echo ": not done after $limit s"): $(tail -5 "$work/$tool" | tr '\n' '|')"
    else
        failed=1
        echo "not ok - compute_sanitizer_$tool: $found found: $(head -12 <<<"$said" | tr '\n' '|')"
    fi
done
exit $failed
