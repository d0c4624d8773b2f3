#!/usr/bin/env bash
# The checkpoint reader under AddressSanitizer and UndefinedBehaviorSanitizer: every flipped, cut and hostile file of the unit tests.
# slow
# timeout: 170
set -u
cd "$(dirname "$0")/../.." || exit 1
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
CC=${CC:-gcc}
flags="-std=c11 -D_GNU_SOURCE -O1 -g -Isrc -Itests -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
echo 'int main(void) { return 0; }' >"$WORK/try.c"
if ! $CC $flags -o "$WORK/try" "$WORK/try.c" 2>/dev/null || ! "$WORK/try"; then
    echo "ok - checkpoints_under_sanitizers # SKIP $CC has no sanitizers here"
    exit 0
fi
# Where the build found its libraries; Debian's HDF5 is in an unusual place.
places=$(sed -n 's/^\(DEP\|CMOCKA\)_\(CFLAGS\|LIBS\) := //p' "${BUILD:-build}/config.mk" 2>/dev/null | grep -oE -- '-[ILW][^ ]+' | tr '\n' ' ')
reader="src/run/checkpoint.c src/run/checkpoint_image.c src/run/checkpoint_index.c src/algo/field.c $(echo src/base/{arena,check,text,digest,file}.c)"
status=0
for test in test_checkpoint_hostile test_checkpoint; do
    if ! $CC $flags ${CFLAGS:-} $places -o "$WORK/$test" "tests/unit/$test.c" $reader ${LDFLAGS:-} $places -lhdf5 -lcmocka -lcrypto -lpthread -lm 2>"$WORK/log"; then
        echo "not ok - ${test}_builds_with_sanitizers: $(head -c 500 "$WORK/log")"
        exit 1
    fi
    if CMOCKA_MESSAGE_OUTPUT=stdout ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=0 "$WORK/$test" >"$WORK/out" 2>&1; then
        echo "ok - ${test}_is_clean_under_sanitizers"
    else
        echo "not ok - ${test}_is_clean_under_sanitizers: $(grep -m1 -E 'ERROR:|runtime error|FAILED' "$WORK/out" || tail -3 "$WORK/out")"
        status=1
    fi
done
exit $status
