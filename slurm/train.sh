#!/bin/bash
#SBATCH --job-name=mappo
#SBATCH --output=mappo-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@120
# A training run as a Slurm job that survives time limits, dead ranks and lost nodes. Arguments go to `mappo train`.
#   sbatch -N 2 --ntasks-per-node=32 -t 8:00:00 slurm/train.sh env=mpe/simple_spread seed=3
#   slurm/train.sh seed=3             on a login node: submits itself with the site's flags (slurm/site.sh), by sbatch or yhbatch
#   CHAIN=5 slurm/train.sh seed=3     five jobs, each after the one before, where jobs may not be requeued
# The same command again continues the run. What a site needs (modules, partition, GPUs, launcher) stands in slurm/site.sh; see
# site.sh.example beside it.
#
#   MAPPO_SBATCH     flags for every submission          MAPPO_LAUNCHER   instead of mpirun, srun or yhrun; "none" = no launcher
#   MAPPO_RESTARTS   most requeues of a job (50)         MAPPO_FAILURES   of these, most after a crash or a dead rank (5)
#   MAPPO            the program                         MAPPO_SITE       the site file
set -u

note() { echo "train.sh: $*"; }
# Slurm's tools go by other names on Tianhe machines.
tool() {
    local name
    for name in "$@"; do command -v "$name" && return; done
    return 1
}
sbatch=$(tool sbatch yhbatch) squeue=$(tool squeue yhqueue yhq) scontrol=$(tool scontrol yhcontrol)

# Inside a job $0 is a copy in Slurm's spool; the job's record knows the original.
script=$(readlink -f "$0")
if [ -n "${SLURM_JOB_ID:-}" ]; then
    original=$("$scontrol" show job -o "$SLURM_JOB_ID" 2>/dev/null | sed -n 's/.* Command=\([^ ]*\).*/\1/p')
    for candidate in "${MAPPO_SCRIPT:-}" "$original" "${SLURM_SUBMIT_DIR:-.}/slurm/train.sh"; do
        [ -f "$candidate" ] && script=$candidate && break
    done
fi
here=$(dirname "$script")
for site in "${MAPPO_SITE:-}" "$here/site.sh"; do
    # shellcheck disable=SC1090
    [ -f "$site" ] && { . "$site"; break; }
done
for program in "${MAPPO:-}" "$here/../build/mappo" "$here/../../../bin/mappo" "$(command -v mappo)"; do
    [ -x "$program" ] && break
done
[ -x "$program" ] || { note "no program: build it with \`make\`, or say MAPPO=/path/to/mappo" >&2 && exit 2; }
program=$(readlink -f "$program")

link=${MAPPO_LINK:-1} chain=${CHAIN:-1}
case $chain$link in *[!0-9]*) note "CHAIN=$chain is not a number of jobs" >&2 && exit 2 ;; esac
first_line="$(printf ' %q' "$@")" # as given, for people
again=()                          # without --fresh: a restart continues
for argument in "$@"; do [ "$argument" = --fresh ] || again+=("$argument"); done

# submit LINK [DEPENDENCY]: one job; prints its id. The first takes the arguments as given.
submit() {
    local arguments=("${again[@]+"${again[@]}"}")
    [ "$1" = 1 ] && arguments=("${given[@]+"${given[@]}"}")
    # shellcheck disable=SC2086
    MAPPO_LINK=$1 CHAIN=$chain MAPPO_SCRIPT=$script $sbatch --parsable ${MAPPO_SBATCH:-} ${shape:-} ${2:+--dependency=afterok:$2 --kill-on-invalid-dep=yes} \
        "$script" "${arguments[@]+"${arguments[@]}"}" | sed 's/;.*//'
}
given=("$@")

# ---- on a login node: submit ----
if [ -z "${SLURM_JOB_ID:-}" ]; then
    [ -n "$sbatch" ] || { note "neither sbatch nor yhbatch is here; without Slurm: mpirun -n 4 $program$first_line" >&2 && exit 2; }
    job=
    for ((link = 1; link <= chain; link++)); do
        job=$(submit "$link" "$job")
        [ -n "$job" ] || { note "the job was not accepted" >&2 && exit 2; }
        note "job $job submitted$([ "$chain" -gt 1 ] && echo " ($link of $chain)"): mappo$first_line; log mappo-$job.log"
    done
    exit 0
fi

# ---- in a job ----
restarts=${SLURM_RESTART_COUNT:-0}
[ "$restarts" -gt 0 ] || [ "$link" -gt 1 ] && set -- "${again[@]+"${again[@]}"}"
# The resources of this job, for those that follow it.
shape="${SLURM_JOB_PARTITION:+-p $SLURM_JOB_PARTITION }${SLURM_JOB_NUM_NODES:+-N $SLURM_JOB_NUM_NODES }${SLURM_NTASKS:+-n $SLURM_NTASKS }${SLURM_CPUS_PER_TASK:+-c $SLURM_CPUS_PER_TASK }"
limit=$("$scontrol" show job -o "$SLURM_JOB_ID" 2>/dev/null | sed -n 's/.* TimeLimit=\([0-9][^ ]*\).*/\1/p')
shape="$shape${limit:+-t $limit}"
continues="$(basename "${sbatch:-sbatch}") ${MAPPO_SBATCH:+$MAPPO_SBATCH }$shape $script$([ ${#again[@]} -gt 0 ] && printf ' %q' "${again[@]}")"

# `CHAIN=n sbatch …`: the first job submits the others.
if [ "$chain" -gt 1 ] && [ -z "${MAPPO_LINK:-}" ] && [ "$restarts" = 0 ]; then
    job=$SLURM_JOB_ID
    for ((link = 2; link <= chain; link++)); do
        job=$(submit "$link" "$job")
        [ -n "$job" ] || { note "warning: job $link of $chain was not accepted" && break; }
        note "job $job submitted ($link of $chain)"
    done
    link=1
fi

# The deadline, in seconds since 1970. squeue's time left: [days-][[hours:]minutes:]seconds.
left=$("$squeue" -h -j "$SLURM_JOB_ID" -o %L 2>/dev/null | awk -F'[-:]' '/^[0-9:-]+$/ { s = $NF + 60 * $(NF - 1); if (NF > 2) s += 3600 * $(NF - 2); if (NF > 3) s += 86400 * $(NF - 3); print s }')
unset MAPPO_DEADLINE
[ -n "$left" ] && export MAPPO_DEADLINE=$(($(date +%s) + left))

# The launcher: what the site says; nothing for one rank; else mpirun, srun, yhrun.
ranks=${SLURM_NTASKS:-1} launch=()
if [ "${MAPPO_LAUNCHER:-}" = none ] || { [ -z "${MAPPO_LAUNCHER:-}" ] && [ "$ranks" = 1 ]; }; then
    : # one process; it takes the cores that the job has
elif [ -n "${MAPPO_LAUNCHER:-}" ]; then
    read -r -a launch <<<"$MAPPO_LAUNCHER"
elif mpirun=$(tool mpirun); then
    launch=("$mpirun" -n "$ranks")
    # Open MPI: no banner about exit code 75; and with several threads a rank it would bind each rank to one core.
    if "$mpirun" --version 2>/dev/null | grep -q 'Open MPI\|OpenRTE'; then
        launch+=(--quiet)
        [ "${SLURM_CPUS_PER_TASK:-1}" -gt 1 ] && launch+=(--bind-to none)
    fi
elif srun=$(tool srun yhrun); then
    launch=("$srun" -n "$ranks")
else
    note "$ranks tasks, but neither mpirun nor srun nor yhrun is here: name a launcher in slurm/site.sh" >&2
    exit 2
fi
# Root, as in containers: Open MPI wants to be told.
[ "$(id -u)" = 0 ] && export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

note "$(date '+%F %T') job $SLURM_JOB_ID start $((restarts + 1)) on ${SLURM_JOB_NODELIST:-$(hostname)}, $ranks ranks, time left ${left:-unlimited} s: mappo$(printf ' %q' "$@")"

export MAPPO_EXIT_FILE=${SLURM_SUBMIT_DIR:-.}/.mappo-exit-$SLURM_JOB_ID
rm -f "$MAPPO_EXIT_FILE"
cancelled=0 signals=0 child=
# shellcheck disable=SC2317
forward() { signals=1 && [ -n "$child" ] && kill -USR1 "$child" 2>/dev/null; }
trap forward USR1
# scancel has told the ranks as well; the launcher is told again in case only this shell was.
trap 'signals=1; cancelled=1; [ -n "$child" ] && kill -TERM "$child" 2>/dev/null' TERM INT
"${launch[@]+"${launch[@]}"}" "$program" "$@" &
child=$!
code=127 signals=1
while [ $signals = 1 ]; do # a trapped signal interrupts `wait`
    signals=0
    wait "$child"
    status=$?
    [ $status = 127 ] || code=$status
done
child=
# MPICH's mpirun may return 0 after it has forwarded a signal: then the program's own word counts.
[ $code = 0 ] && [ -s "$MAPPO_EXIT_FILE" ] && code=$(cat "$MAPPO_EXIT_FILE")
rm -f "$MAPPO_EXIT_FILE"

# ---- what now? ----
counter=${SLURM_SUBMIT_DIR:-.}/.mappo-failures-$SLURM_JOB_ID
failures=$(cat "$counter" 2>/dev/null || echo 0)
finish() { rm -f "$counter" && exit "$1"; }

if [ $cancelled = 1 ]; then
    why="cancelled; it stays so"
    [ "$(date +%s)" -ge $((${MAPPO_DEADLINE:-99999999999} - 30)) ] && why="ended by the time limit before it could save: raise train.stop_margin"
    note "$why. To go on: $continues"
    finish 143
fi
case $code in
0) note "finished" && finish 0 ;;
10) note "stopped on request. To go on: $continues" && finish 10 ;;
2 | 3 | 4 | 6 | 7 | 126 | 127) note "failed with exit code $code; starting again would not help" && finish "$code" ;;
75) why="stopped before the time limit" && failures=0 && rm -f "$counter" ;;
*)
    failures=$((failures + 1)) && echo "$failures" >"$counter"
    why="a rank died or was ended (exit code $code, failure $failures of at most ${MAPPO_FAILURES:-5})"
    if [ "$failures" -gt "${MAPPO_FAILURES:-5}" ]; then
        note "failed $failures times (exit code $code), giving up. To go on: $continues"
        finish "$code"
    fi
    ;;
esac
if [ "$chain" -gt 1 ]; then
    [ "$link" -lt "$chain" ] && note "$why; job $((link + 1)) of $chain continues" && finish 0
    note "$why, and this was the last of $chain jobs. To go on: $continues"
    finish "$code"
fi
if [ "$restarts" -ge "${MAPPO_RESTARTS:-50}" ]; then
    note "$why, and was restarted $restarts times already. To go on: $continues"
    finish "$code"
fi
# A requeue ends this script with TERM: from here on that is no cancelling.
trap '' TERM INT USR1
if "$scontrol" requeue "$SLURM_JOB_ID"; then
    note "$why; requeued"
    exit 0
fi
note "$why, but this cluster refuses to requeue the job. To go on: $continues (or CHAIN=5 $script …)"
finish "$code"
