#!/usr/bin/env bash
# Mutated configuration files and command lines, read by a build with AddressSanitizer and UndefinedBehaviorSanitizer: no crash, no leak, every
# refusal one clean line, and whatever is taken reads back identically. A fixed number of rounds from fixed seeds.
# slow
# timeout: 170
set -u
cd "$(dirname "$0")/../.." || exit 1
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
CC=${CC:-gcc}
flags="-std=c11 -D_GNU_SOURCE -O1 -g -Isrc -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
echo 'int main(void) { return 0; }' >"$WORK/try.c"
if ! $CC $flags -o "$WORK/try" "$WORK/try.c" 2>/dev/null || ! "$WORK/try"; then
    echo "ok - mutated_configurations # SKIP $CC has no sanitizers here"
    exit 0
fi
# Where the build found its libraries, should that be an unusual place.
places=$(sed -n 's/^DEP_\(CFLAGS\|LIBS\) := //p' "${BUILD:-build}/config.mk" 2>/dev/null | grep -oE -- '-[ILW][^ ]+' | tr '\n' ' ')
if ! $CC $flags ${CFLAGS:-} $places -o "$WORK/fuzz" tests/faults/config_fuzz.c src/config/*.c src/base/{arena,check,text,number,file,digest}.c ${LDFLAGS:-} -linih -lcrypto -lm 2>"$WORK/log"; then
    echo "not ok - config_fuzz_builds: $(head -c 500 "$WORK/log")"
    exit 1
fi
# Whole files besides the short ones: the corpus holds every form that a file may take.
printf 'env = mpe/simple_spread\nseed = 20e6\n[ppo]\n\tclip = 0.1 ; a comment\n  epochs: 4\ngae.lambda = .5\n# comment\n[env]\nN = 5\nrules = on-policy\n' >"$WORK/forms.ini"
printf 'train\nseed=3\nenv.N=5\nppo.clip=0.1\n--quiet\n--help\nppo\nrun=a/b\n' >"$WORK/line.ini"
printf '[train]\r\ninit = runs/a=b/latest.h5\r\n[adam]\r\nlr=7e-4\r\nschedule = linear\r\n[comm]\r\nreproducible = on\r\n' >"$WORK/crlf.ini"
printf '\xef\xbb\xbf[ ppo ] # why\rclip = 0,1\r[env]\rname = ~/a.so\rN = "5"\rN = 1.000\r' >"$WORK/editors.ini"
printf 'eval\n~/run\nadam.lr=1,234.5\ntrain.max_seconds=01:30:00\n--lr\n1e-3\nenv=x\nN=5\n' >"$WORK/advice.ini"
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=0
if "$WORK/fuzz" "${ROUNDS:-60000}" "$WORK"/*.ini envs/*/*.ini >"$WORK/out" 2>"$WORK/log"; then
    echo "# $(cat "$WORK/out")"
    echo "ok - mutated_configurations_are_refused_in_one_line_or_read_back_identically"
    # The mutations must leave enough that is right: else only refusals are tested.
    read -r taken refused < <(sed -n 's/.*: \([0-9]*\) taken, \([0-9]*\) refused/\1 \2/p' "$WORK/out")
    if [ "$taken" -gt 3000 ] && [ "$refused" -gt 3000 ]; then echo "ok - mutations_reach_both_outcomes"
    else echo "not ok - mutations_reach_both_outcomes: $taken taken, $refused refused" && exit 1; fi
else
    echo "not ok - mutated_configurations_are_refused_in_one_line_or_read_back_identically: $(grep -m1 -E 'ERROR|runtime error|mappo:' "$WORK/log" || tail -3 "$WORK/log")"
    exit 1
fi
