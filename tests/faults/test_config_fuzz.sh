#!/usr/bin/env bash
# Mutated configuration files and command lines, read by the build with AddressSanitizer and UndefinedBehaviorSanitizer (make sanitized; else by
# the plain one): no crash, no leak, every refusal one clean line, and whatever is taken reads back identically. A fixed number of rounds from
# fixed seeds.
# slow
# timeout: 170
set -u
cd "$(dirname "$0")/../.." || exit 1
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
fuzz=${BUILD:-build}/tests/config_fuzz sanitized=${BUILD:-build}/sanitized/tests/config_fuzz
[ "$sanitized" -nt "$fuzz" ] && fuzz=$sanitized
# Whole files besides the short ones: the corpus holds every form that a file may take.
printf 'env = mpe/simple_spread\nseed = 20e6\n[ppo]\n\tclip = 0.1 ; a comment\n  epochs: 4\ngae.lambda = .5\n# comment\n[env]\nN = 5\nrules = on-policy\n' >"$WORK/forms.ini"
printf 'train\nseed=3\nenv.N=5\nppo.clip=0.1\n--quiet\n--help\nppo\nrun=a/b\n' >"$WORK/line.ini"
printf '[train]\r\ninit = runs/a=b/latest.h5\r\n[adam]\r\nlr=7e-4\r\nschedule = linear\r\n[comm]\r\nreproducible = on\r\n' >"$WORK/crlf.ini"
printf '\xef\xbb\xbf[ ppo ] # why\rclip = 0,1\r[env]\rname = ~/a.so\rN = "5"\rN = 1.000\r' >"$WORK/editors.ini"
printf 'eval\n~/run\nadam.lr=1,234.5\ntrain.max_seconds=01:30:00\n--lr\n1e-3\nenv=x\nN=5\n' >"$WORK/advice.ini"
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=0
if "$fuzz" "${ROUNDS:-40000}" "$WORK"/*.ini envs/*/*.ini >"$WORK/out" 2>"$WORK/log"; then
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
