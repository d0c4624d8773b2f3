#!/usr/bin/env bash
# scripts/device.sh: every part in its part of the time, whatever the others do, and a short summary after each step; with a stand-in for
# the program, and once with the emulated device, from a bundle.
# waits
# slow
# timeout: 300
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
emulated=$root/${EMULATED:-${BUILD:-build}/emulated}
unset BUILD EMULATED MAPPO MAPPO_EMULATED # of the tests: what is tried here has a folder of its own
work=$(mktemp -d --suffix=.mappo-device-test) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
check() { # NAME EXPECTED ACTUAL [LOG]
    if [ "$2" = "$3" ]; then echo "ok - $1"; else
        failed=1
        echo "not ok - $1: expected \"$2\", got \"$3\""
        [ -n "${4:-}" ] && sed 's/^/# /' "$4"
    fi
}

# ---- with stand-ins ----
clone="$work/it's a \$HOME folder"
mkdir -p "$clone/scripts" "$clone/tests/cuda" "$clone/build/tests" "$work/bin"
cp "$root/scripts/device.sh" "$clone/scripts/" && cp "$root/tests/run.sh" "$clone/tests/" && cp "$root/tests/cuda/test_sanitizer.sh" "$clone/tests/cuda/"
cd "$clone" || exit 1
cat >build/mappo <<'S'
#!/bin/bash
case "$*" in
--version) echo "mappo 0.1.0 (stand-in)" ;;
doctor*) printf 'processor   some\nGPUs        1; built with CUDA\n            0  NVIDIA Pretend, 80 GiB free\nMPI         none\n\n            512 kB: write 0.1 ms\n' ;;
*${HANG:-nothing-hangs}*) trap '' TERM && sleep 60 ;;
*${FAIL:-nothing-fails}*) echo "mappo: device lost" >&2 && exit 5 ;;
bench*)
    [[ " $* " == *" cuda.environments=0 "* ]] && more=', "ratio_to_smaller": 0.4900'
    echo "{\"case\": \"as configured\", \"ms_per_update\": 12.7500, \"env_steps_per_second\": 16066666, \"agent_steps_per_second\": 48200000, \"ratio_to_floor\": 0.3460$more}"
    echo '{"case": "environments alone", "environments": 8192, "env_steps_per_second": 5e8, "agent_steps_per_second": 1500000000}'
    ;;
train*)
    for argument in "$@"; do case $argument in run=*) run=${argument#run=} ;; esac done
    mkdir -p "$run" && echo '{"update":1,"seconds":8.5,"return_mean":-120}' >"$run/metrics.jsonl"
    ;;
eval*) echo '{"checkpoint":"x","return_mean": -108.4321,"return_stderr": 0.5012}' ;;
esac
S
for name in backend env; do
    echo "// a test" >tests/cuda/test_${name}_cuda.c
    printf '#!/bin/bash\necho 1..2; echo ok 1 - a; echo "%s 2 - b"\n' "$([ $name = env ] && echo not ok || echo ok)" >build/tests/test_${name}_cuda
done
printf '#!/bin/bash\necho "ok - a"\n' >tests/cuda/test_train_cuda.sh
printf '#!/bin/sh\necho "==PROF== kernel $*"\n' >"$work/bin/ncu"
printf '#!/bin/sh\necho "========= ERROR SUMMARY: 0 errors"\nexit 1\n' >"$work/bin/compute-sanitizer"
printf '#!/bin/sh\necho "NVIDIA Pretend, 580.1, 80 GiB"\n' >"$work/bin/nvidia-smi"
chmod +x build/mappo build/tests/* tests/cuda/*.sh "$work/bin"/*
run() { # FOLDER ARGUMENTS...: $code, $summary
    summary=$work/$1/summary.txt
    PATH=$work/bin:$PATH OUT="" scripts/device.sh "${@:2}" "$work/$1" >"$work/log" 2>&1
    code=$?
}
rows() { grep -c "^$1 " "$summary"; }

run all
check every_part_runs "machine 2, tests 2, bench 17, learning 8, profiles 6, training 1, sanitizer 3" \
    "machine $(rows machine), tests $(rows tests), bench $(rows bench), learning $(rows learning), profiles $(rows profiles), training $(rows training), sanitizer $(rows sanitizer)" "$work/log"
check a_failed_test_is_named_and_ends_with_1 "1 1" "$code $(grep -c '^tests  *test_env_cuda .*FAILED.* 1 passed, 1 failed, 0 skipped: not ok 2 - b' "$summary")" "$summary"
check figures_stand_in_the_table "1 1 1" "$(grep -c '^bench  *8,192 environments  .* 12.75 ms an update, 48.2 M agent-steps/s, 34.6 % of the floor; stepping alone 1500 M/s' "$summary") $(
    grep -c '^bench .*on the host  .*49 % of the smaller alone' "$summary" | sed 's/^2$/1/') $(grep -c '^learning  *20 M, seed 1 .*return -108.4 ± 0.5 after 8.5 s' "$summary")" "$summary"
check the_sanitizer_s_word_counts 3 "$(grep -c '^sanitizer .*finds nothing' "$summary")" "$summary"
check the_summary_is_short_and_says_how_it_ended "yes finished" "$([ "$(wc -l <"$summary")" -le 60 ] && echo yes) $(tail -1 "$summary" | cut -d: -f1)" "$summary"
check results_are_json "34 8" "$(grep -c '^{"row": "[^"]*", "case"' "$work/all/bench.jsonl") $(grep -c '^{"run": "[^"]*", "seconds": 8.5, "checkpoint"' "$work/all/learning.jsonl")"
check there_are_at_most_eight_files yes "$([ "$(find "$work/all" -type f | wc -l)" -le 8 ] && echo yes)"
run only --only bench,machine
check parts_can_be_chosen "0 2 17 0 5" "$code $(rows machine) $(rows bench) $(rows learning) $(grep -o '(--only)' "$summary" | wc -l)" "$summary"

# ---- what hangs or fails takes nothing along ----
HANG=policy.hidden=256 run hang --seconds 40 --only bench,learning
check a_step_that_hangs_is_ended_and_told "1 2 17 8" "$code $(grep -c '^bench  *hidden 256.*STOPPED after 2 s' "$summary") $(rows bench) $(rows learning)" "$summary"
FAIL=cuda.precision=bf16 run fail --only bench
check a_step_that_fails_is_told "1 1 17" "$code $(grep -c '^bench .*FAILED, exit code 5: mappo: device lost' "$summary") $(rows bench)" "$summary"
HANG=bench run short --seconds 4 --only bench,learning
check time_that_is_over_is_told "1 1" "$code $(grep -c 'no time left' "$summary" | sed 's/^[1-9]$/1/')" "$summary"
# A ten-line complaint of every step stays within the summary's length.
sed -i 's/^bench\*)/bench*) [ -z "$LONG" ] || { head -c 5000 \/dev\/zero | tr "\\0" x >\&2; exit 1; }/' build/mappo
LONG=1 run long
check long_complaints_are_cut "yes yes" "$([ "$(wc -l <"$summary")" -le 60 ] && echo yes) $([ "$(wc -L <"$summary")" -le 200 ] && echo yes)" "$summary"
# Ended from outside, in the middle: what was done is there.
PATH=$work/bin:$PATH HANG=train scripts/device.sh --only bench,learning "$work/killed" >"$work/log" 2>&1 &
pid=$!
disown
for ((i = 0; i < 200; i++)); do [ "$(grep -c '^bench' "$work/killed/summary.txt" 2>/dev/null)" = 17 ] && break || sleep 0.1; done
kill -9 $pid
sleep 0.2
check what_was_done_before_a_kill_is_there "17 running" "$(grep -c '^bench' "$work/killed/summary.txt") $(tail -1 "$work/killed/summary.txt" | cut -d: -f1)" "$work/killed/summary.txt"

# ---- what can't begin ----
for wrong in "--seconds soon" "--seconds" "--only tests,everything" "--fast" "--only"; do
    # shellcheck disable=SC2086
    run wrong $wrong
    check "wrong_options_are_refused ($wrong)" "2 1" "$code $(grep -c '^device.sh: ' "$work/log")" "$work/log"
done
run help --help
check help_is_printed "0 yes" "$code $(grep -q 'at most 60 lines' "$work/log" && echo yes)"
sed -i '/NVIDIA Pretend/s/.*/doctor*) printf "GPUs        this build computes on the CPU only\\nMPI         none\\n\\n            512 kB: write 0.1 ms\\n" ;;/' build/mappo
run none
check no_gpu_is_said "2 1" "$code $(grep -c '^device.sh: no usable GPU: this build computes on the CPU only' "$work/log")" "$work/log"

# ---- the real thing on the emulated device, packed and unpacked ----
if ! [ -x "$emulated/mappo" ]; then
    echo "ok - a_bundle_runs_it_on_an_emulated_device # SKIP needs $emulated/mappo (make emulated)"
    exit $failed
fi
mkdir -p "$work/b/tests" && cp "$emulated/mappo" "$work/b/" && cp "$emulated/tests/test_env_cuda" "$work/b/tests/"
(cd "$root" && scripts/bundle.sh "$work/b" "$work/bundle.tar") >"$work/log" 2>&1
mkdir "$work/an empty machine" && cd "$work/an empty machine" && tar xf "$work/bundle.tar" || exit 1
cd bundle && PATH=$work/bin:$PATH && rm -f "$work/bin/nvidia-smi" && run emulated --seconds 1500 --only tests,bench,learning,profiles,sanitizer
check a_bundle_runs_it_on_an_emulated_device "0 1 4 4 1" "$code $(grep -c "^tests  *test_env_cuda .* passed, 0 failed" "$summary") $(grep -c '^bench .*ms an update' "$summary") $(grep -c '^learning .*return -' "$summary") $(grep -c 'the figures mean nothing' "$summary")" "$summary"
exit $failed
