#!/usr/bin/env bash
# On a real GPU: compute-sanitizer finds nothing in the backend's cases: memory, races in shared memory, values that nobody wrote.
# timeout: 1800
# alone
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
failed=0
for tool in memcheck racecheck initcheck; do
    # Devices are found, memory is asked for and libraries are opened in ways that fail by design: those answers of the runtime are no errors.
    timeout 550 "$sanitizer" --tool $tool --report-api-errors no --error-exitcode 86 "$program" >"$work/$tool" 2>&1
    code=$?
    if grep -qiE 'unable to launch|not supported|Error: Target|insufficient permission|could not be initialized' "$work/$tool"; then
        echo "ok - compute_sanitizer_$tool # SKIP not permitted here: $(grep -m1 -iE 'unable|not supported|Error|permission' "$work/$tool")"
    elif [ $code = 0 ]; then
        echo "ok - compute_sanitizer_$tool finds nothing"
    else
        failed=1
        echo "not ok - compute_sanitizer_$tool: exit $code: $(grep '=====' "$work/$tool" | head -12 | tr '\n' '|')"
    fi
done
exit $failed
