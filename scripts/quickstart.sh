#!/usr/bin/env bash
# From a fresh clone to a trained team: installs what is missing, builds, trains MAPPO on mpe/simple_spread (6 M environment steps, about
# a minute on two cores), evaluates beside random and scripted play, writes a report (a page with curves and replays), and says where everything is
# and what to type next.
#   scripts/quickstart.sh [key=value ...] [--config FILE] [--fresh]      passed on, such as env=classic/CartPole-v1, seed=3 or train.env_steps=1e6
# With seeds=1-5 several are trained: a table of all, one curve with a band, and the first is evaluated.
# Another environment (of `build/mappo envs`, or your own) is trained for as many steps as its preset has or as it was trained for in the
# documentation, and for two minutes where that is not known or very many, or where it is an environment of Python (env=py:gymnasium:ID, docs/python.md).
# The same command again continues an interrupted run, and only shows the results of a finished one.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # as `sh quickstart.sh`
set -u +o posix
from=$PWD
cd "$(dirname "$0")/.." || exit 1
previous="" given=()
for argument in "$@"; do
    # Files are named from where the command was typed.
    if [ "$from" != "$PWD" ]; then
        case $previous:$argument in
        *:env=./* | *:env=../*) argument=${argument#env=} && argument=env=$from/${argument#./} ;;
        *:env=py:./* | *:env=py:../*) argument=${argument#env=py:} && argument=env=py:$from/${argument#./} ;;
        --config:[!/~]*) argument=$from/$argument ;;
        *:--config=[!/~]*) argument=--config=$from/${argument#--config=} ;;
        esac
    fi
    given+=("$argument")
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
set -- "${given[@]+"${given[@]}"}"
settings=("$@")
gave() { [[ " $arguments" == *" $1="* ]]; } # KEY: is it among the arguments?
arguments=$*
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

# What the program makes of the settings, before it trains. Sets $runs and $run, and what is to be trained, for how long, and who says so.
rehearse() {
    local said
    said=$("$mappo" train --dry-run --json "$@" 2>&1) || { printf '%s\n' "$said" >&2 && exit 2; }
    said=$(grep '^{"run":' <<<"$said")
    mapfile -t runs < <(sed -n 's/^{"run":"\(.*\)","state":.*/\1/p' <<<"$said" | sed 's/\\\(["\\/]\)/\1/g')
    run=${runs[0]} said=${said%%$'\n'*} # of several seeds the first
    environment=$(text environment <<<"$said") variant=$(text variant <<<"$said") state=$(text state <<<"$said") rules=$(text rules <<<"$said")
    steps=$(number train.env_steps <<<"$said") steps_of=$(text train.env_steps_of <<<"$said")
}
number() { sed -n "s|.*\"$1\": *\(-*[0-9][-+.0-9e]*\).*|\1|p"; } # of a line of JSON
text() { sed -n "s|.*\"$1\": *\"\([^\"]*\)\".*|\1|p"; }
usual() { settings=("$1" "${settings[@]+"${settings[@]}"}"); } # what is set where nobody said otherwise
rehearse "${settings[@]+"${settings[@]}"}"
if [ "$environment $rules" = "mpe/simple_spread mpe2" ] && ! gave env.rules && ! gave preset && [[ " $* " != *" --config"* ]]; then
    usual env.rules=on-policy # of the reference MAPPO: the README's curve and numbers
fi
if [ "$steps_of" = default ]; then
    steps=6000000
    # As many as it was trained for, by its entry in the list of environments.
    [ "$environment" = mpe/simple_spread ] || steps=$("$mappo" envs "$environment" --json 2>/dev/null | grep -o '"env_steps": *[1-9][0-9]*' | head -1 | grep -o '[0-9]*$')
    [ -n "$steps" ] && usual "train.env_steps=$steps"
fi
limit=$(sed -n 's/.* train\.max_seconds=\([0-9]*\).*/\1/p' <<<" $*") # seconds; empty: trained to the end
# Not known how long, or very long, or how fast (Python). A job has a limit of its own.
if [ "$steps_of" != settings ] && ! gave train.max_seconds && [ -z "$batch" ] && { [ "${steps:-20000000}" -ge 20000000 ] || [[ $environment == py:* ]]; }; then
    limit=120
    usual train.max_seconds=$limit
fi
rehearse "${settings[@]+"${settings[@]}"}"

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
[ -z "$limit" ] || gave train.max_seconds || echo "for two minutes at most; train.env_steps=N or train.max_seconds=N for another length"
"$mappo" train "${settings[@]+"${settings[@]}"}"
code=$?
[ $code = 75 ] && [ -n "$limit" ] && [ $(($(date +%s) - started)) -ge "$limit" ] && code=0
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
episodes=1000
[ -n "$limit" ] || [[ $environment == py:* ]] && episodes=100
echo "$episodes episodes of each player$([ ${#runs[@]} -gt 1 ] && echo "; the policy is that of $run")"
# play NAME: mean returns as a line of JSON; nothing where the environment has no such player
play() { "$mappo" eval "$run" "episodes=$episodes" play="$1" --json 2>/dev/null | grep '"return_mean":' | tail -1; }
random=$(play random) scripted=$(play scripted) trained=$(play trained)
[ -n "$trained" ] || {
    "$mappo" eval "$run" "episodes=$episodes"
    echo "quickstart.sh: the evaluation failed" >&2
    exit 1
}
last=$(tail -1 "$run/metrics.jsonl")

# Returns of one environment are hundreds, of another hundredths.
rounded() { awk -v x="$1" -v like="${3:-$1}" -v digits="$2" 'BEGIN { printf (like <= -10 || like >= 10) ? "%.1f" : "%." digits "g", x }'; }
row() { # NAME KEY JSON NOTE [WITHOUT]
    local mean error
    mean=$(number "$2" <<<"$3") error=$(number "${2}_stderr" <<<"$3")
    [ -z "$error" ] && error=$(number return_stderr <<<"$(grep -v "\"$2_stderr\"" <<<"$3")")
    if [ -z "$mean" ]; then
        printf '  %-28s %10s\n' "$1" "${5:-none}"
    else
        printf '  %-28s %10s %-8s %s%s%s\n' "$1" "$(rounded "$mean" 3)" "${error:+± $(rounded "$error" 1 "$mean")}" "$dim" "$4" "$plain"
    fi
}
rows() { # KEY: what random, scripted and trained players reach
    row "random actions" "$1" "$random" ""
    row "scripted player" "$1" "$scripted" ""
    row "trained, while exploring" "$1" "$last" "training return: the last episodes, sampled actions$reference" "none yet"
    row "trained, best action" "$1" "$trained" "evaluation: deterministic policy"
}
reference=""
[[ $environment == mpe/* ]] && reference=" (what the reference logs)"
IFS=' ' read -r -a groups <<<"$(sed -n 's/.*"players":{\([^}]*\)}.*/\1/p' <<<"$trained" | sed 's/"\([^"]*\)":"[^"]*",*/\1 /g')"
step "${variant:-$environment}, $rules rules: mean return of an episode$([ ${#groups[@]} -gt 1 ] && echo ", of an agent of each group; in a row all groups play alike")"
if [ ${#groups[@]} -gt 1 ]; then
    for group in "${groups[@]}"; do
        echo "$group"
        rows "return_mean/$group"
    done
else
    rows return_mean
fi

# Not every environment can be drawn.
"$mappo" render "$run" "out=$run/episode.svg" --quiet >/dev/null 2>&1
report=$run/report.html
"$mappo" report "${runs[@]}" "out=$report" "episodes=$((episodes > 100 ? 100 : 20))" --quiet >/dev/null || report=""

step "Where everything is"
env_steps=$(number env_steps <<<"$last")
printf '  %-14s %s\n' "run" "$run  ($(awk -v x="$env_steps" 'BEGIN { printf (x < 1e6) ? "%.0f k" : "%.3g M", x / (x < 1e6 ? 1e3 : 1e6) }') environment steps$([ "$state" = finished ] || echo "; trained now for $seconds s"))"
[ ${#runs[@]} -gt 1 ] && printf '  %-14s %s\n' "other seeds" "${runs[*]:1}"
[ -n "$report" ] && printf '  %-14s %s\n' "report" "$report    for a browser: curves$([ ${#runs[@]} -gt 1 ] && echo " of all ${#runs[@]} seeds"), replays of episodes, settings"
[ -f "$run/episode.svg" ] && printf '  %-14s %s\n' "an episode" "$run/episode.svg$([ ${#runs[@]} -gt 1 ] && echo "    of the first seed")"
printf '  %-14s %s\n' "numbers" "$run/metrics.jsonl, one line an update"
printf '  %-14s %s\n' "checkpoint" "$run/latest.h5    look inside: $mappo inspect$(quoted "$run/latest.h5")"

step "What to type next"
line() { printf '  %-14s %s%s%s%s\n' "$1" "$2" "$dim" "${3:+    $3}" "$plain"; }
further=() same=()
for argument in "${settings[@]+"${settings[@]}"}"; do
    case $argument in --fresh | train.env_steps=* | train.max_seconds=*) ;; *) further+=("$argument") ;; esac
    case $argument in --fresh | run=* | run.dir=* | seed=* | train.seed=* | train.max_seconds=*) ;; *) same+=("$argument") ;; esac
done
[ "$env_steps" -ge "$steps" ] && steps=$((2 * env_steps))
line "train on" "$mappo$(quoted "${further[@]+"${further[@]}"}" "train.env_steps=$steps")"
[ ${#runs[@]} -gt 1 ] && line "all seeds" "$mappo report$(quoted "${runs[@]}" out=seeds.html)" "renews the page of them all"
line "watch it" "$mappo watch$(quoted "$run")" "meanwhile, in another terminal"
gave seeds || line "several seeds" "$mappo$(quoted "seeds=1-3" "${same[@]+"${same[@]}"}")" "a mean and how far they lie apart"
[ -f "$run/episode.svg" ] && line "film" "$mappo render$(quoted "$run" episode=best "out=best.$(command -v ffmpeg >/dev/null 2>&1 && echo gif || echo svg)")" "out=- plays it here"
line "take it along" "scripts/export.py$(quoted "$run") --onnx policy.onnx" "or --torch, --c"
line "more" "$mappo runs, mpirun -n 4 $mappo …, sbatch slurm/train.sh …, $mappo --help, README.md"
