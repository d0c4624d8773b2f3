#!/usr/bin/env bash
# Everything that ten minutes on a machine with a GPU should tell, in one call, the most valuable first.
#   scripts/device.sh [--seconds N] [--only PART,...] [FOLDER]       from a clone (after `make CUDA=1 all tests`) or from the bundle of `make bundle`
# FOLDER ($OUT, else device-<time>) receives summary.txt, at most 60 lines, written anew after every step: a call that is ended at any moment
# has lost one step. The other files, seven at most: machine.txt, tests.log, bench.jsonl, learning.jsonl, profiles.txt, sanitizer.log, errors.log.
# Parts: machine, tests (kernels), bench, learning, profiles (where ncu or nsys is), training (tests of the whole program), sanitizer. Each step
# has its time (--seconds, 570) and is ended there. On an emulated device (BUILD=build/emulated) steps are few and sizes tiny.
# Exit code 0: all that was wanted ran and nothing failed; 1: something failed, or the time was too short; 2: it could not begin.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # as `sh device.sh`
set -u +o posix
cd "$(dirname "$(readlink -f "$0")")/.." || exit 2
parts="machine tests bench learning profiles training sanitizer"
refuse() { echo "device.sh: $*" >&2 && exit 2; }
total=570 only="" out=${OUT:-}
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' scripts/device.sh && exit 0 ;;
    --seconds | --only)
        [ $# -gt 1 ] || refuse "$1 needs a value (scripts/device.sh --help)"
        if [ "$1" = --only ]; then only=${2//,/ }; else total=$2; fi
        shift
        ;;
    -*) refuse "unknown option $1 (scripts/device.sh --help)" ;;
    *) out=$1 ;;
    esac
    shift
done
[[ $total =~ ^[1-9][0-9]{0,5}$ ]] || refuse "--seconds $total is not a whole number from 1 on"
for part in ${only:=$parts}; do [[ " $parts " == *" $part "* ]] || refuse "there is no part \"$part\"; parts are ${parts// /, }"; done
out=${out:-device-$(date +%Y%m%d-%H%M%S)}
mkdir -p "$out" && out=$(cd "$out" && pwd) || refuse "$out: no such folder, and it can't be made"
export BUILD=${BUILD:-build}
export EMULATED=$BUILD
mappo=$BUILD/mappo
[ -x "$mappo" ] || refuse "no $mappo: make CUDA=1 all tests, or unpack a bundle"
export MAPPO=$PWD/$mappo MAPPO_EMULATED=$PWD/$mappo GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-10000}
[[ $BUILD != /* ]] || export MAPPO=$mappo MAPPO_EMULATED=$mappo
work=$(mktemp -d --suffix=.mappo-device) || exit 2
began=$SECONDS
trap 'rm -rf "$work"' EXIT

# ---- the summary -----------------------------------------------------------------------------------------------------------------------
head=() table=() left_out=() failed=0 ended=""
summarise() {
    {
        printf '%s\n' "${head[@]+"${head[@]}"}"
        printf '%-10s %-38s %6s  %s\n' part step s result
        printf '%s\n' "${table[@]+"${table[@]}"}"
        [ ${#left_out[@]} = 0 ] || printf '%s; ' "not run: ${left_out[0]}" "${left_out[@]:1}" | fold -s -w 180 | head -5 && echo
        echo "${ended:-running}: $((SECONDS - began)) s of $total, $failed failed"
    } | awk '{ line[NR] = substr($0, 1, 200) } END { for (i = 1; i <= NR; i++) if (NR <= 60 || i <= 58 || i == NR) print line[i]; else if (i == 59) print "… " NR - 59 " more lines" }' >"$out/.summary"
    mv "$out/.summary" "$out/summary.txt"
}
child=""
trap 'ended="ended by a signal"; summarise; [ -z "$child" ] || kill "$child" 2>/dev/null; exit 130' INT TERM HUP
left() { echo $((total - (SECONDS - began))); }
seconds_of() { # PERCENT of the time in seconds, as far as there is any left
    local seconds=$((total * $1 / 100)) left
    left=$(left)
    [ "$seconds" -ge 1 ] || seconds=1
    echo $((seconds < left ? seconds : left))
}
# step PERCENT NAME FILE COMMAND...: runs it within its time; $code and $took say how it ended, $work/output holds what it printed, which
# is added to FILE (- = nothing). Fails where no time was left.
step() {
    local name=$2 file=$3 start=$SECONDS
    seconds=$(seconds_of "$1")
    shift 3
    [ "$seconds" -ge 1 ] || { left_out+=("$part: $name (no time left)") && return 1; }
    summarise
    timeout -k 3 "$seconds" "$@" >"$work/output" 2>"$work/errors" </dev/null &
    child=$!
    wait "$child" # a signal interrupts it
    code=$? took=$((SECONDS - start)) child=""
    [ "$file" = - ] || cat "$work/output" >>"$out/$file"
    [ ! -s "$work/errors" ] || { echo "== $part: $name" && tail -100 "$work/errors"; } >>"$out/errors.log"
}
row() { # NAME RESULT: a line of the table; what came to no good end is told by its code
    local result=$2
    if [ "$code" = 124 ] || [ "$code" = 137 ]; then
        failed=$((failed + 1)) result="STOPPED after $seconds s${result:+; $result}"
    elif [ "$code" != 0 ]; then
        failed=$((failed + 1)) result="FAILED, exit code $code${result:+: $result}"
        [ -n "$2" ] || result="$result: $(tail -1 "$work/errors")"
    fi
    table+=("$(printf '%-10s %-38s %6s  %s' "$part" "$1" "$took" "$result")")
    summarise
}
# number KEY [FORMAT [SCALE]]: the last one of that name in the step's JSON
number() { value_of "$1" | awk -v format="${2:-%s}" -v scale="${3:-1}" '{ printf format, $1 * scale }'; }
value_of() { sed -n "s/.*\"$1\": *\(-\{0,1\}[0-9][-+.0-9e]*\).*/\1/p" "$work/output" | tail -1; }

# ---- the parts -------------------------------------------------------------------------------------------------------------------------
# Which GPU; without one there is nothing to do.
look_around() {
    local gpu
    part=machine
    step 10 doctor machine.txt "$mappo" doctor run="$work/none" || refuse "--seconds $total is too short"
    gpu=$(sed -n '/^GPUs/,/^MPI/s/^ \{4,\}[0-9][0-9]* *//p' "$work/output" | head -1)
    head+=("$("$mappo" --version 2>/dev/null | head -1), $(date '+%F %T'): ${gpu:-no GPU}")
    row doctor "$(sed -n 's/^processor *//p' "$work/output")"
    [ -n "$gpu" ] || refuse "no usable GPU: $(sed -n 's/^GPUs *//p' "$work/output" "$work/errors" | head -1)"
    [[ $gpu == 'emulated GPU'* ]] || return 0
    head+=("an emulated device: steps are few, sizes tiny, and the figures mean nothing")
    rows=$(sed -n '1,2p;/^gru, 8,192 env/p;/^maddpg, its/p' <<<"$rows") learnings=$(sed -n '1,2p;/gru/p;/maddpg/p' <<<"$learnings")
    small="rollout.envs=4 rollout.steps=5 ppo.epochs=1 ppo.chunk=5 policy.hidden=64 maddpg.batch=20 maddpg.start=20 maddpg.buffer=100 threads=1 train.env_steps=40" episodes=8
}
run_machine() {
    command -v nvidia-smi >/dev/null || { left_out+=("machine: nvidia-smi (not here)") && return; }
    step 5 nvidia-smi machine.txt nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit --format=csv,noheader || return
    row nvidia-smi "$(head -1 "$work/output")"
}

# test PERCENT NAME: a program of tests/cuda, counted by tests/run.sh
run_test() {
    step "$1" "$2" tests.log tests/run.sh -j 1 -t "$(seconds_of "$1")" "cuda/$2" || return
    row "$2" "$(tail -1 "$work/output" | grep ' passed, ')$(grep -m1 -o 'not ok.*' "$work/output" | sed 's/^/: /')"
}
run_tests() {
    local test
    for test in tests/cuda/test_*_cuda.c; do run_test 8 "$(basename "$test" .c)"; done
}
run_training() { run_test 22 test_train_cuda.sh; }

# Rows of docs/benchmarks.md, each by a process of its own. NAME|SETTINGS|VARIABLES
small="rollout.steps=25"
rows='8,192 environments|rollout.envs=8192|
8,192, tf32|rollout.envs=8192 cuda.precision=tf32|
8,192, bf16|rollout.envs=8192 cuda.precision=bf16|
the reference, 128 environments|rollout.envs=128|
8,192 environments, on the host|rollout.envs=8192 cuda.environments=0|
the same, OMP_WAIT_POLICY=active|rollout.envs=8192 cuda.environments=0|OMP_WAIT_POLICY=active
10 us a step, on the host|env=test/busy rollout.envs=8192 cuda.environments=0|
8,192, 4 epochs|rollout.envs=8192 ppo.epochs=4|
65,536 environments|rollout.envs=65536|
hidden 256|rollout.envs=8192 policy.hidden=256|
hidden 256, tf32|rollout.envs=8192 policy.hidden=256 cuda.precision=tf32|
hidden 128|rollout.envs=8192 policy.hidden=128|
gru, 8,192 environments|rollout.envs=8192 policy=gru|
gru, 8,192, tf32|rollout.envs=8192 policy=gru cuda.precision=tf32|
gru, the reference, 128|rollout.envs=128 policy=gru|
maddpg, 1,024 environments|rollout.envs=1024 algo=maddpg|
maddpg, its preset, 16|rollout.envs=16 algo=maddpg|'
run_bench() {
    local name settings variables rate
    while IFS='|' read -r name settings variables; do
        # shellcheck disable=SC2086
        step 5 "$name" - env $variables "$mappo" bench backend=cuda --json $settings $small || continue
        sed "s|^{|{\"row\": \"$name\", |" "$work/output" >>"$out/bench.jsonl"
        grep -v 'environments alone' "$work/output" >"$work/row"
        rate=$(sed -n 's/.*"environments alone".*"agent_steps_per_second": *\([0-9.e+]*\).*/\1/p' "$work/output" | awk '{ printf "%.0f", $1 / 1e6 }')
        mv "$work/row" "$work/output"
        row "$name" "$([ ! -s "$work/output" ] || echo "$(number ms_per_update %.2f) ms an update, $(number agent_steps_per_second %.1f 1e-6) M agent-steps/s, $(number ratio_to_floor %.1f 100) % of the floor$(number ratio_to_smaller ', %.0f %% of the smaller alone' 100)${rate:+; stepping alone $rate M/s}")"
    done <<<"$rows"
}

# NAME|SETTINGS: trained once, then 1,000 deterministic episodes
learnings='80 M, 2,048 envs, rates 1e-3|train.env_steps=80e6 rollout.envs=2048 adam.lr=1e-3 adam.critic_lr=1e-3
20 M, seed 1|train.env_steps=20e6 seed=1
5 M, seed 1, float32|train.env_steps=5e6 seed=1
5 M, seed 1, tf32|train.env_steps=5e6 seed=1 cuda.precision=tf32
5 M, seed 2, float32|train.env_steps=5e6 seed=2
5 M, seed 2, tf32|train.env_steps=5e6 seed=2 cuda.precision=tf32
5 M, gru|train.env_steps=5e6 policy=gru
1 M, maddpg, 1,024 envs|train.env_steps=1e6 algo=maddpg rollout.envs=1024'
episodes=1000
run_learning() {
    local name settings spent
    while IFS='|' read -r name settings; do
        # shellcheck disable=SC2086
        step 5 "$name" - "$mappo" train backend=cuda env.rules=on-policy eval.env_steps=0 --quiet --json run="$work/run" --fresh $settings $small || continue
        if [ $code != 0 ]; then row "$name" "" && continue; fi
        spent=$(sed -n 's/.*"seconds": *\([0-9.e+]*\).*/\1/p' "$work/run/metrics.jsonl" | tail -1)
        step 5 "$name, evaluation" - "$mappo" eval "$work/run" backend=cuda episodes=$episodes --json || continue
        sed "s|^{|{\"run\": \"$name\", \"seconds\": ${spent:-null}, |" "$work/output" >>"$out/learning.jsonl"
        row "$name" "return $(number return_mean %.1f) ± $(number return_stderr %.1f) after $(printf %.1f "${spent:-0}") s"
        rm -rf "$work"/run*
    done <<<"$learnings"
}

# NAME|FLAGS OF ncu|SETTINGS
launches="--csv --metrics gpu__time_duration.sum --launch-skip 200 --launch-count 120"
details="--set detailed -k regex:fused_train --launch-skip 4 --launch-count 1"
profiles="training kernel, tf32|$details|rollout.envs=8192 cuda.precision=tf32
launches, 128 environments|$launches|rollout.envs=128
training kernel, 128 environments|$details|rollout.envs=128
launches, hidden 256|$launches|rollout.envs=8192 policy.hidden=256
training kernel, float32|$details|rollout.envs=8192
launches, tf32|$launches|rollout.envs=8192 cuda.precision=tf32"
run_profiles() {
    local name flags settings profiler
    profiler=$(command -v ncu || ls /usr/local/cuda*/bin/ncu /opt/nvidia/nsight-compute/*/ncu 2>/dev/null | tail -1)
    if [ -z "$profiler" ] && ! command -v nsys >/dev/null; then left_out+=("profiles (neither ncu nor nsys is here)") && return; fi
    while IFS='|' read -r name flags settings; do
        settings="train backend=cuda cuda.graphs=0 eval.env_steps=0 --quiet --fresh train.env_steps=2e6 $settings $small"
        if [ -n "$profiler" ]; then
            # shellcheck disable=SC2086
            step 6 "$name" - "$profiler" --target-processes all $flags "$mappo" $settings run="$work/run" || continue
        else # which kernels take how long, of all launches
            # shellcheck disable=SC2086
            step 6 "$name" - nsys profile -t cuda --stats=true --force-overwrite=true -o "$work/profile" "$mappo" $settings run="$work/run" || continue
        fi
        { echo "== $name: $settings" && cat "$work/output"; } >>"$out/profiles.txt"
        if grep -q ERR_NVGPUCTRPERM "$work/output" "$work/errors"; then
            left_out+=("profiles (this machine does not permit performance counters)") && return
        fi
        row "$name" "$(wc -l <"$work/output") lines in profiles.txt"
        rm -rf "$work"/run*
    done <<<"$profiles"
}

run_sanitizer() {
    local tool
    for tool in memcheck racecheck initcheck; do
        step 12 "$tool" sanitizer.log env MAPPO_SANITIZER_SECONDS="$(seconds_of 11)" tests/cuda/test_sanitizer.sh $tool || continue
        if grep -q '# SKIP' "$work/output"; then
            left_out+=("sanitizer: $tool ($(sed 's/.*# SKIP *//' "$work/output"))") && continue
        fi
        row "$tool" "$(tail -1 "$work/output" | sed 's/^ok - compute_sanitizer_//')"
    done
}

# ---- one after another -------------------------------------------------------------------------------------------------------------------
look_around
for part in $parts; do
    if [[ " $only " == *" $part "* ]]; then "run_$part"; else left_out+=("$part (--only)"); fi
done
ended=finished
summarise
cat "$out/summary.txt"
[ $failed = 0 ] && [[ "${left_out[*]-}" != *"no time left"* ]]
