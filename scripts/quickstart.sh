#!/usr/bin/env bash
# From a fresh clone to a trained team: installs what is missing, builds, trains MAPPO on mpe/simple_spread (6 M environment steps, about
# a minute on two cores), evaluates beside random and scripted play, draws the curve, and says where everything is.
#   scripts/quickstart.sh [key=value ...]      settings are passed on, such as seed=3 or train.env_steps=1000000
# The same command again continues an interrupted run, and only shows the results of a finished one.
set -u
cd "$(dirname "$0")/.." || exit 1
for argument in "$@"; do
    case $argument in
    -h | --help) sed -n '2,5s/^# //p' "$0" && exit 0 ;;
    esac
done
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold="" dim="" plain=""; fi
step() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
build=${BUILD:-build} mappo=${BUILD:-build}/mappo
settings=(env.rules=on-policy train.env_steps=6000000 "$@")

# A login node: Slurm answers, and this is no job.
batch=""
for tool in sinfo yhinfo yhi; do
    if [ -z "$batch" ] && [ -z "${SLURM_JOB_ID:-}" ] && command -v $tool >/dev/null 2>&1 && timeout 10 $tool -h >/dev/null 2>&1; then
        batch=yhbatch
        command -v sbatch >/dev/null 2>&1 && batch=sbatch
    fi
done
# Each kind of GPU takes minutes of compiling: here those of this machine, on a login node all the usual ones.
[ -z "$batch" ] && export CUDA_ARCH=${CUDA_ARCH-native}

step "1  What is needed"
scripts/setup.sh || exit
echo "all there"

step "2  Build"
mkdir -p "$build"
if ! make -j"$(nproc 2>/dev/null || echo 2)" >"$build/build.log" 2>&1; then
    tail -30 "$build/build.log"
    echo "quickstart.sh: the build failed (whole log: $build/build.log)" >&2
    exit 1
fi
"$mappo" --version | head -1

if [ -n "$batch" ]; then
    step "3  Train as a job"
    echo "This is a cluster's login node, so nothing is trained here. Submit:"
    echo
    echo "  $batch -n 16 -t 1:00:00 slurm/train.sh ${settings[*]}"
    echo
    echo "The same command again continues the run. Modules, partition and account: copy slurm/site.sh.example to slurm/site.sh (docs/hpc.md)."
    exit 0
fi

step "3  Train"
# shellcheck disable=SC2016
run=$("$mappo" doctor "${settings[@]}" 2>/dev/null | sed -n 's/^run folder *\([^ ]*\).*/\1/p')
started=$(date +%s)
"$mappo" train "${settings[@]}"
code=$?
if [ $code != 0 ]; then
    echo
    case $code in
    10 | 75) echo "quickstart.sh: stopped and saved; the same command again goes on" ;;
    *) echo "quickstart.sh: training ended with exit code $code; the message above says why" >&2 ;;
    esac
    exit $code
fi
seconds=$(($(date +%s) - started))

step "4  Evaluate"
echo "1,000 episodes each"
number() { sed -n "s/.*\"$1\": *\(-*[0-9][-+.0-9e]*\).*/\1/p"; }
# play NAME: "mean ± standard error" of 1,000 episodes; empty where the environment has no such player
mean="" error=""
play() { # NAME [key=value]
    local line
    line=$("$mappo" eval "$run" episodes=1000 play="$1" ${2:+"$2"} --json 2>/dev/null | tail -1)
    mean=$(number return_mean <<<"$line") error=$(number return_stderr <<<"$line")
}
row() { # NAME MEAN ERROR NOTE
    if [ -z "$2" ]; then
        printf '  %-28s %10s\n' "$1" "none"
    else
        printf '  %-28s %10.1f %-8s %s%s%s\n' "$1" "$2" "${3:+± $(printf %.1f "$3")}" "$dim" "$4" "$plain"
    fi
}
play random && random=$mean random_error=$error
play scripted && scripted=$mean scripted_error=$error
play trained "eval.picture=$run/episode.svg" && trained=$mean trained_error=$error
[ -n "$trained" ] || {
    "$mappo" eval "$run" episodes=1000
    echo "quickstart.sh: the evaluation failed" >&2
    exit 1
}
last=$(tail -1 "$run/metrics.jsonl")
env=$(sed -n '/^\[env\]/,/^\[/s/^name *= *//p' "$run/config.ini" | head -1)
rules=$(sed -n '/^\[env\]/,/^\[/s/^rules *= *//p' "$run/config.ini" | head -1)
curve=$run/curve.svg lines=()
[ -n "$random" ] && lines+=(--line "random=$random")
[ -n "$scripted" ] && lines+=(--line "scripted=$scripted")
scripts/plot.py "$run" "${lines[@]+"${lines[@]}"}" -o "$curve" >/dev/null || curve=""

step "$env${rules:+, $rules rules}: mean return of an episode"
row "random actions" "$random" "$random_error" ""
row "scripted player" "$scripted" "$scripted_error" ""
row "trained, while exploring" "$(number return_mean <<<"$last")" "" "training return: last 100 episodes, sampled actions (what the reference logs)"
row "trained, best action" "$trained" "$trained_error" "evaluation: deterministic policy"

step "Where everything is"
printf '  %-14s %s\n' "run" "$run  ($(number env_steps <<<"$last" | awk '{ printf "%.3g M", $1 / 1e6 }') environment steps; trained now for $seconds s)"
[ -n "$curve" ] && printf '  %-14s %s\n' "curve" "$curve"
[ -f "$run/episode.svg" ] && printf '  %-14s %s\n' "an episode" "$run/episode.svg"
printf '  %-14s %s\n' "numbers" "$run/metrics.jsonl, one line an update"
printf '  %-14s %s\n' "checkpoint" "$run/latest.h5    look inside: $mappo inspect $run/latest.h5"
printf '  %-14s %s\n' "train on" "$mappo env.rules=on-policy train.env_steps=20000000${*:+ $(printf '%s\n' "$@" | grep -v '^train.env_steps=' | tr '\n' ' ')}"
printf '  %-14s %s\n' "more" "mpirun -n 4 $mappo …, sbatch slurm/train.sh …, $mappo --help, README.md"
