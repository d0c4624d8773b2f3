#!/usr/bin/env bash
# From a fresh clone to a trained team: installs what is missing, builds, trains MAPPO on mpe/simple_spread (6 M environment steps, about
# a minute on two cores), evaluates beside random and scripted play, draws the curve, and says where everything is.
#   scripts/quickstart.sh [key=value ...] [--config FILE] [--fresh]      passed on, such as seed=3, train.env_steps=1000000 or env=ENV
# The same command again continues an interrupted run, and only shows the results of a finished one.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # as `sh quickstart.sh`
set -u +o posix
cd "$(dirname "$0")/.." || exit 1
previous=""
for argument in "$@"; do
    case $previous:$argument in
    *:-h | *:--help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' scripts/quickstart.sh && exit 0 ;;
    --config:* | *:--config | *:--config=* | *:--fresh) ;;
    *:-*) echo "quickstart.sh: unknown option $argument (scripts/quickstart.sh --help)" >&2 && exit 2 ;;
    *:*=*) ;;
    *) echo "quickstart.sh: \"$argument\" is not key=value (scripts/quickstart.sh --help)" >&2 && exit 2 ;;
    esac
    previous=$argument
done
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold="" dim="" plain=""; fi
step() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
build=${BUILD:-build} mappo=${BUILD:-build}/mappo
settings=("$@")
for usual in train.env_steps=6000000 env.rules=on-policy; do
    case " $*" in *" ${usual%%=*}="*) ;; *) settings=("$usual" "${settings[@]+"${settings[@]}"}") ;; esac
done
quoted() { printf ' %q' "$@"; }

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
# show_progress: make's lines go to the log; people see how far it is, at least every ten seconds.
show_progress() {
    local line files=0 said=$SECONDS code
    while IFS= read -r -t 10 line; code=$?; [ $code = 0 ] || [ $code -gt 128 ]; do
        [ $code != 0 ] || printf '%s\n' "$line" >>"$build/build.log"
        case $line in
        "mappo: "*) echo "${line#mappo: }" ;;
        "  "[a-z]*"  $build/"*) files=$((files + 1)) ;;
        esac
        if [ -n "$bold" ]; then
            printf '\r%s files compiled, %s s ' $files $((SECONDS - began))
        elif [ $((SECONDS - said)) -ge 10 ]; then
            echo "$files files compiled, $((SECONDS - began)) s" && said=$SECONDS
        fi
    done
    [ -z "$bold" ] || printf '\r%40s\r' ""
}
began=$SECONDS
: >"$build/build.log"
make -j"$(nproc 2>/dev/null || echo 2)" 2>&1 | show_progress
if [ "${PIPESTATUS[0]}" != 0 ]; then
    tail -30 "$build/build.log"
    echo "quickstart.sh: the build failed (whole log: $build/build.log)" >&2
    exit 1
fi
"$mappo" --version | head -1

# What the program makes of the settings, before it trains: another environment may have no rules of that name. Sets $run.
rehearse() {
    said=$("$mappo" train --dry-run --json "$@" 2>&1) || return
    run=$(sed -n 's/^{"run":"\(.*\)","state":.*/\1/p' <<<"$said" | sed 's/\\\(["\\/]\)/\1/g')
}
if ! rehearse "${settings[@]}"; then
    settings=("${settings[@]:1}")
    rehearse "${settings[@]}" || { printf '%s\n' "$said" >&2 && exit 2; }
fi

if [ -n "$batch" ]; then
    step "3  Train as a job"
    echo "This is a cluster's login node, so nothing is trained here. Submit:"
    echo
    echo "  $batch -n 16 -t 1:00:00 slurm/train.sh$(quoted "${settings[@]}")"
    echo
    echo "The same command again continues the run. Modules, partition and account: copy slurm/site.sh.example to slurm/site.sh (docs/hpc.md)."
    exit 0
fi

step "3  Train"
started=$(date +%s)
"$mappo" train "${settings[@]}"
code=$?
if [ $code != 0 ]; then
    echo
    case $code in
    10 | 75) echo "quickstart.sh: stopped and saved; the same command$([[ " $* " != *" --fresh "* ]] && echo " again" || echo " without --fresh") goes on" ;;
    *) echo "quickstart.sh: training ended with exit code $code; the message above says why" >&2 ;;
    esac
    exit $code
fi
seconds=$(($(date +%s) - started))

step "4  Evaluate"
echo "1,000 episodes each"
number() { sed -n "s/.*\"$1\": *\(-*[0-9][-+.0-9e]*\).*/\1/p"; }
# play NAME [key=value]: mean and standard error of 1,000 episodes; fails, with both empty, where the environment has no such player
mean="" error="" line=""
play() {
    line=$("$mappo" eval "$run" episodes=1000 play="$1" ${2:+"$2"} --json 2>/dev/null | tail -1)
    mean=$(number return_mean <<<"$line") error=$(number return_stderr <<<"$line")
    [ -n "$mean" ]
}
# Returns of one environment are hundreds, of another hundredths.
round() { awk -v x="$1" 'BEGIN { printf (x <= -10 || x >= 10) ? "%.1f" : "%.3g", x }'; }
row() { # NAME MEAN ERROR NOTE
    if [ -z "$2" ]; then
        printf '  %-28s %10s\n' "$1" "none"
    else
        printf '  %-28s %10s %-8s %s%s%s\n' "$1" "$(round "$2")" "${3:+± $(awk -v x="$3" -v mean="$2" 'BEGIN { printf (mean <= -10 || mean >= 10) ? "%.1f" : "%.1g", x }')}" "$dim" "$4" "$plain"
    fi
}
play random && random=$mean random_error=$error
play scripted && scripted=$mean scripted_error=$error
# Not every environment can be drawn.
{ play trained "eval.picture=$run/episode.svg" || play trained; } && trained=$mean trained_error=$error
[ -n "${trained:-}" ] || {
    "$mappo" eval "$run" episodes=1000
    echo "quickstart.sh: the evaluation failed" >&2
    exit 1
}
last=$(tail -1 "$run/metrics.jsonl")
env=$(sed -n 's/.*"environment": *"\([^"]*\)".*/\1/p' <<<"$line") # its id, also of a plugin
rules=$(sed -n 's/.*"rules": *"\([^"]*\)".*/\1/p' <<<"$line")
curve=$run/curve.svg lines=()
[ -n "${random:-}" ] && lines+=(--line "random=$random")
[ -n "${scripted:-}" ] && lines+=(--line "scripted=$scripted")
scripts/plot.py "$run" "${lines[@]+"${lines[@]}"}" -o "$curve" >/dev/null || curve=""

step "$env${rules:+, $rules rules}: mean return of an episode"
row "random actions" "${random:-}" "${random_error:-}" ""
row "scripted player" "${scripted:-}" "${scripted_error:-}" ""
row "trained, while exploring" "$(number return_mean <<<"$last")" "" "training return: last 100 episodes, sampled actions (what the reference logs)"
row "trained, best action" "$trained" "$trained_error" "evaluation: deterministic policy"

step "Where everything is"
printf '  %-14s %s\n' "run" "$run  ($(number env_steps <<<"$last" | awk '{ printf "%.3g M", $1 / 1e6 }') environment steps; trained now for $seconds s)"
[ -n "$curve" ] && printf '  %-14s %s\n' "curve" "$curve"
[ -f "$run/episode.svg" ] && printf '  %-14s %s\n' "an episode" "$run/episode.svg"
printf '  %-14s %s\n' "numbers" "$run/metrics.jsonl, one line an update"
printf '  %-14s %s\n' "checkpoint" "$run/latest.h5    look inside: $mappo inspect$(quoted "$run/latest.h5")"
further=()
for argument in "${settings[@]}"; do case $argument in --fresh | train.env_steps=*) ;; *) further+=("$argument") ;; esac done
printf '  %-14s %s\n' "train on" "$mappo$(quoted "${further[@]+"${further[@]}"}" "train.env_steps=$(number env_steps <<<"$last" | awk '{ printf "%.0f", ($1 < 1e7) ? 2e7 : 2 * $1 }')")"
printf '  %-14s %s\n' "more" "mpirun -n 4 $mappo …, sbatch slurm/train.sh …, $mappo --help, README.md"
