#!/bin/bash
#SBATCH --job-name=mappo-scaling
#SBATCH --output=mappo-scaling-%j.log
# Speed on 1, 2, 4, … ranks: how far a run of this shape scales on this machine. Inside a job (`sbatch -N 2 --ntasks-per-node=32
# slurm/scaling.sh`) up to its tasks, elsewhere up to the cores. Arguments go to `mappo train`.
#   MODE=strong      the same environments on more ranks (default); efficiency = speed / (ranks × speed of one rank)
#   MODE=weak        rollout.envs environments on each rank
#   SECONDS_EACH=20  how long each measurement trains; the first third is left out
#   RANKS="1 8 64"   instead of powers of two      THREADS=1   of each rank
# Exit code 1 where a measurement failed.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # as `sh scaling.sh`
set -u +o posix
# Inside a job $0 is a copy in Slurm's spool; the job's record knows the original, with its arguments behind it.
script=$(readlink -f "$0")
if [ -n "${SLURM_JOB_ID:-}" ] && [ ! -f "${script%/*}/common.sh" ]; then
    original=$({ scontrol show job "$SLURM_JOB_ID" || yhcontrol show job "$SLURM_JOB_ID"; } 2>/dev/null | sed -n 's/^ *Command=//p')
    case $original in /*) ;; *) original=${SLURM_SUBMIT_DIR:-.}/$original ;; esac
    while [[ $original == *' '* && ! -f $original ]]; do original=${original% *}; done
    for script in "${MAPPO_SCRIPT:-}" "$original" "${SLURM_SUBMIT_DIR:-.}/slurm/scaling.sh"; do [ -f "${script%/*}/common.sh" ] && break; done
fi
[ -f "${script%/*}/common.sh" ] || { echo "scaling.sh: common.sh, which belongs beside it, is not in ${script%/*}: start it from the clone's or the installation's slurm folder" >&2 && exit 2; }
# shellcheck source=slurm/common.sh
. "${script%/*}/common.sh"

for argument in "$@"; do case $argument in -h | --help) show_help ;; esac; done
read_site
find_program
mode=${MODE:-strong} seconds=${SECONDS_EACH:-20} threads=${THREADS:-1}
[[ $mode == strong || $mode == weak ]] || refuse "MODE=$mode is neither strong nor weak"
count SECONDS_EACH "$seconds" 1
count THREADS "$threads" 0
words MAPPO_LAUNCHER
[ "${MAPPO_LAUNCHER:-}" != none ] || refuse "MAPPO_LAUNCHER=none starts one rank only: name a launcher"
most=${SLURM_NTASKS:-$(nproc)}
if [ -z "${RANKS:-}" ]; then
    RANKS=
    for ((n = 1; n < most; n *= 2)); do RANKS="$RANKS $n"; done
    RANKS="$RANKS $most"
fi
for n in $RANKS; do count RANKS "$n" 1; done
envs=128
for argument in "$@"; do case $argument in rollout.envs=*) envs=$(printf '%.0f' "${argument#*=}" 2>/dev/null) && count rollout.envs "$envs" 1 || refuse "$argument is not a number of environments" ;; esac done
prepare_launch

launch() { # RANKS COMMAND...
    local n=$1 flags=()
    shift
    if [ -n "${MAPPO_LAUNCHER:-}" ]; then # it takes its number of ranks from the job, so the site file is read again with another one
        (
            export SLURM_NTASKS=$n
            read_site
            words MAPPO_LAUNCHER
            "${words[@]}" "$@"
        )
    elif command -v mpirun >/dev/null; then
        mpirun --version 2>/dev/null | grep -q 'Open MPI\|OpenRTE' && flags=(--quiet)
        mpirun "${flags[@]+"${flags[@]}"}" -n "$n" "$@"
    else
        "$(command -v srun || command -v yhrun)" -n "$n" "$@"
    fi
}

work=$(mktemp -d -p . --suffix=.mappo-scaling) || exit 1
trap 'rm -rf "$work"' EXIT
echo "# $mode scaling, $envs environments$([ "$mode" = weak ] && echo " per rank"), $(date +%F), $(hostname), $("$program" --version 2>/dev/null | head -1)"
printf '%7s %9s %16s %18s %11s %15s\n' ranks envs env-steps/s agent-steps/s efficiency communication
one=
status=0
for n in $RANKS; do
    total=$envs
    [ "$mode" = weak ] && total=$((envs * n))
    launch "$n" "$program" train "$@" "rollout.envs=$total" train.env_steps=1e12 "train.max_seconds=$seconds" eval.env_steps=0 eval.interval=0 checkpoint.seconds=0 \
        --quiet "run.dir=$work/$n" threads="$threads" >"$work/log" 2>&1
    code=$?
    if [ $code != 75 ] || [ ! -s "$work/$n/metrics.jsonl" ]; then
        printf '%7s %9s failed with exit code %s: %s\n' "$n" "$total" $code "$(tail -1 "$work/log")"
        status=1
        continue
    fi
    # Median over the updates after the first third.
    field() { sed -n "s/.*\"$1\": *\([-0-9.e+]*\).*/\1/p" "$work/$n/metrics.jsonl" | awk '{ x[NR] = $1 } END { for (i = int(NR / 3) + 1; i <= NR; i++) print x[i] }' | sort -g | awk '{ x[NR] = $1 } END { print x[int((NR + 1) / 2)] }'; }
    steps=$(field env_steps_per_second)
    [ -n "$one" ] || one=$(awk "BEGIN { print $steps / $n }")
    phases=$(awk "BEGIN { c = $(field seconds_communication); t = c + $(field seconds_step) + $(field seconds_infer) + $(field seconds_update); printf(\"%.0f %%\", (t > 0) ? 100 * c / t : 0) }")
    printf '%7s %9s %16.0f %18.0f %9s %% %15s\n' "$n" "$total" "$steps" "$(field agent_steps_per_second)" "$(awk "BEGIN { printf \"%.0f\", 100 * $steps / $n / $one }")" "$phases"
done
exit $status
