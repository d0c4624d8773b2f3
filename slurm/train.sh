#!/bin/bash
#SBATCH --job-name=mappo
#SBATCH --output=mappo-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@120
# A training run as a Slurm job that survives time limits, dead ranks and lost nodes. Arguments go to `mappo train`.
#   slurm/train.sh seed=3             on a login node: checks the settings, then submits itself with the site's flags (slurm/site.sh)
#   slurm/train.sh --dry-run seed=3   only checks them
#   CHAIN=5 slurm/train.sh seed=3     five jobs, each after the one before, where jobs may not be requeued
#   sbatch -N 2 --ntasks-per-node=32 -t 8:00:00 slurm/train.sh env=mpe/simple_spread seed=3         settings are checked by the job itself
# The same command again continues the run. What a site needs (modules, partition, GPUs, launcher) stands in slurm/site.sh; see
# site.sh.example beside it.
#
#   MAPPO_SBATCH     flags for every submission          MAPPO_LAUNCHER   instead of mpirun, srun or yhrun; "none" = no launcher
#   MAPPO_RESTARTS   most requeues of a job (50)         MAPPO_FAILURES   of these, most after a crash or a dead rank (5)
#   MAPPO            the program                         MAPPO_SITE       the site file
#   MAPPO_CHECK=0    submits settings unchecked: where the login node can't tell
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # as `sh train.sh`
set -u +o posix

# Inside a job $0 is a copy in Slurm's spool; the job's record knows the original, with its arguments behind it.
script=$(readlink -f "$0")
if [ -n "${SLURM_JOB_ID:-}" ] && [ ! -f "${script%/*}/common.sh" ]; then
    original=$({ scontrol show job "$SLURM_JOB_ID" || yhcontrol show job "$SLURM_JOB_ID"; } 2>/dev/null | sed -n 's/^ *Command=//p')
    case $original in /*) ;; *) original=${SLURM_SUBMIT_DIR:-.}/$original ;; esac
    while [[ $original == *' '* && ! -f $original ]]; do original=${original% *}; done
    for script in "${MAPPO_SCRIPT:-}" "$original" "${SLURM_SUBMIT_DIR:-.}/slurm/train.sh"; do [ -f "${script%/*}/common.sh" ] && break; done
fi
[ -f "${script%/*}/common.sh" ] || { echo "train.sh: common.sh, which belongs beside it, is not in ${script%/*}: start it from the clone's or the installation's slurm folder" >&2 && exit 2; }
# shellcheck source=slurm/common.sh
. "${script%/*}/common.sh"

for argument in "$@"; do case $argument in -h | --help) show_help ;; esac; done
read_site
find_program
chain=${CHAIN:-1} link=${MAPPO_LINK:-1} most_restarts=${MAPPO_RESTARTS:-50} most_failures=${MAPPO_FAILURES:-5} check=${MAPPO_CHECK:-1}
count CHAIN "$chain" 1
count MAPPO_LINK "$link" 1
count MAPPO_RESTARTS "$most_restarts" 0
count MAPPO_FAILURES "$most_failures" 0
[[ $check == [01] ]] || refuse "MAPPO_CHECK=$check is neither 0 nor 1"
words MAPPO_SBATCH
flags=("${words[@]+"${words[@]}"}")
words MAPPO_LAUNCHER
launcher=("${words[@]+"${words[@]}"}")
sbatch=$(tool sbatch yhbatch) squeue=$(tool squeue yhqueue yhq) scancel=$(tool scancel yhcancel)

given=("$@") again=() dry=0 # again: without --fresh, because a restart continues
for argument in "$@"; do
    case $argument in
    --fresh) ;;
    --dry-run) dry=1 ;;
    *) again+=("$argument") ;;
    esac
done

# submit LINK [DEPENDENCY] -- FLAGS...: one job; prints its id. The first takes the arguments as given. What this job's environment says of
# itself is not the next one's.
submit() {
    local number=$1 after=() arguments=("${again[@]+"${again[@]}"}") name
    [ "$2" = -- ] || { after=("--dependency=afterany:$2") && shift; }
    shift 2
    [ "$number" != 1 ] || arguments=("${given[@]+"${given[@]}"}")
    (
        for name in $(compgen -e | grep '^SLURM_' | grep -vx SLURM_CONF); do unset "$name"; done
        MAPPO_LINK=$number CHAIN=$chain MAPPO_SCRIPT=$script "$sbatch" --parsable "$@" "${after[@]+"${after[@]}"}" "$script" "${arguments[@]+"${arguments[@]}"}"
    ) | sed 's/;.*//'
}

# The program's own reading of the settings, before hours in the queue; what this machine can't tell is said and not held against them.
check_settings() {
    local said code limit=()
    command -v timeout >/dev/null && limit=(timeout 120)
    said=$(MAPPO_MPI=0 "${limit[@]+"${limit[@]}"}" "$program" train --dry-run --quiet "${given[@]+"${given[@]}"}" 2>&1 </dev/null)
    code=$?
    case $code:$said in
    2:*'unknown option "--dry-run"'*) note "the settings are not checked: $program is older than that" ;;
    0:*) [ -z "$said" ] || printf '%s\n' "$said" >&2 ;;
    [234]:*)
        printf '%s\n' "$said" >&2
        note "nothing was submitted: the program refuses these settings (exit code $code; MAPPO_CHECK=0 submits them all the same)" >&2
        exit $code
        ;;
    *) note "the settings could not be checked here (exit code $code$([ -n "$said" ] && echo ": $(tail -1 <<<"$said")")); the job will do it" ;;
    esac
}

# ---- on a login node: check, submit ----
if [ -z "${SLURM_JOB_ID:-}" ]; then
    [ $check = 0 ] || check_settings
    [ $dry = 0 ] || exit 0
    [ -n "$sbatch" ] || refuse "neither sbatch nor yhbatch is here; without Slurm: mpirun -n 4$(quoted "$program" "${given[@]+"${given[@]}"}")"
    job="" jobs=()
    for ((link = 1; link <= chain; link++)); do
        job=$(submit "$link" ${job:+"$job"} -- "${flags[@]+"${flags[@]}"}")
        [ -n "$job" ] || refuse "the job was not accepted$([ ${#jobs[@]} = 0 ] || echo "; before it were: ${jobs[*]}")"
        jobs+=("$job")
        note "job $job submitted$([ "$chain" = 1 ] || echo " ($link of $chain)"): mappo$(quoted "${given[@]+"${given[@]}"}"); log mappo-$job.log"
    done
    [ "$chain" = 1 ] || note "to end them all: scancel ${jobs[*]}"
    exit 0
fi
[ $dry = 0 ] || exec "$program" train "$@"

# ---- in a job ----
restarts=${SLURM_RESTART_COUNT:-0}
[ "$restarts" -gt 0 ] || [ "$link" -gt 1 ] && set -- "${again[@]+"${again[@]}"}"
shape_of_job
continues="$(basename "${sbatch:-sbatch}")$(quoted "${shape[@]+"${shape[@]}"}" "$script" "${again[@]+"${again[@]}"}")"

# `CHAIN=n sbatch …`: the first job submits the others.
if [ "$chain" -gt 1 ] && [ -z "${MAPPO_LINK:-}" ] && [ "$restarts" = 0 ]; then
    job=$SLURM_JOB_ID
    for ((link = 2; link <= chain; link++)); do
        job=$(submit "$link" "$job" -- "${shape[@]+"${shape[@]}"}")
        [ -n "$job" ] || { note "warning: job $link of $chain was not accepted, the chain ends before it" && chain=$((link - 1)) && break; }
        note "job $job submitted ($link of $chain)"
        [ $link != 2 ] || differing "$job" | while read -r what; do note "warning: of job $job $what: submit chains by CHAIN=$chain $script, with flags in MAPPO_SBATCH"; done
    done
    link=1
fi

# ends_chain WHY: the jobs that wait for this one, and those that wait for them, would only repeat it.
ends_chain() {
    local waiting jobs=() last=$SLURM_JOB_ID
    [ "$chain" -gt "$link" ] || return 0
    waiting=$("$squeue" -h -t PENDING -u "$(id -u)" -o '%i %E' 2>/dev/null)
    while last=$(awk -v of="$last" '{ gsub(/[^0-9 ]/, " ", $2); n = split($2, on, " "); for (i = 1; i <= n; i++) if (on[i] == of) { print $1; exit } }' <<<"$waiting") && [ -n "$last" ]; do
        jobs=("$last" "${jobs[@]+"${jobs[@]}"}") # the last first: none may start because the one before it is gone
        [ ${#jobs[@]} -lt "$chain" ] || break
    done
    [ ${#jobs[@]} -gt 0 ] || return 0
    if "$scancel" "${jobs[@]}" 2>/dev/null; then note "$1: the jobs that would follow are cancelled (${jobs[*]})"; else note "warning: $1, but the jobs that follow could not be cancelled: scancel ${jobs[*]}"; fi
}

# Why Slurm and not a person ends this job; fails where it was a person.
taken_by_slurm() {
    local record state
    record=$(record_of "$SLURM_JOB_ID")
    state=$(field JobState <<<"$record")
    [ -z "$(field PreemptTime <<<"$record")" ] || { echo "preempted by another job" && return; }
    case $state:$(field Reason <<<"$record") in
    NODE_FAIL:* | *:NodeDown) echo "its node was lost" ;;
    PREEMPTED:* | PENDING:* | REQUEUE*:*) echo "taken off its nodes ($state)" ;;
    *) return 1 ;;
    esac
}

# The deadline, in seconds since 1970. squeue's time left: [days-][[hours:]minutes:]seconds.
left=$("$squeue" -h -j "$SLURM_JOB_ID" -o %L 2>/dev/null | awk -F'[-:]' '/^[0-9:-]+$/ { s = $NF + 60 * $(NF - 1); if (NF > 2) s += 3600 * $(NF - 2); if (NF > 3) s += 86400 * $(NF - 3); print s }')
unset MAPPO_DEADLINE
[ -n "$left" ] && export MAPPO_DEADLINE=$(($(date +%s) + left))

# How many ranks. Without a number of tasks Slurm would start one and leave the other nodes and GPUs idle.
ranks=${SLURM_NTASKS:-1} each="" why=""
if [ -z "${SLURM_NTASKS:-}" ]; then
    nodes=${SLURM_JOB_NUM_NODES:-1} gpus=${SLURM_GPUS_ON_NODE:-0}
    [[ $gpus =~ ^[0-9]+$ ]] || gpus=0
    each=$((gpus > 1 ? gpus : 1)) ranks=$((nodes * (gpus > 1 ? gpus : 1)))
    [ $ranks = 1 ] || why=" (no number of tasks was given: one rank for each $([ "$gpus" -gt 0 ] && echo GPU || echo node), with all cores that it has there)"
fi

# The launcher: what the site says; nothing for one rank; else mpirun, srun, yhrun.
launch=()
if [ "${MAPPO_LAUNCHER:-}" = none ]; then
    [ "$ranks" = 1 ] || note "warning: MAPPO_LAUNCHER=none starts one rank, where the job has $ranks"
elif [ ${#launcher[@]} -gt 0 ]; then
    tool "${launcher[0]}" >/dev/null || refuse "MAPPO_LAUNCHER=$MAPPO_LAUNCHER: there is no such program"
    launch=("${launcher[@]}")
elif [ "$ranks" = 1 ]; then
    : # one process; it takes the cores that the job has
elif mpirun=$(tool mpirun); then
    launch=("$mpirun" -n "$ranks")
    # Open MPI: no banner about exit code 75; and with several threads a rank it would bind each rank to one core.
    if "$mpirun" --version 2>/dev/null | grep -q 'Open MPI\|OpenRTE'; then
        launch+=(--quiet)
        [ "${SLURM_CPUS_PER_TASK:-1}" -gt 1 ] || [ -n "$each" ] && launch+=(--bind-to none)
        [ -z "$each" ] || launch+=(--map-by "ppr:$each:node:oversubscribe")
    elif [ -n "$each" ]; then
        launch+=(-ppn "$each")
    fi
elif srun=$(tool srun yhrun); then
    launch=("$srun" -n "$ranks" ${each:+"--ntasks-per-node=$each"})
else
    refuse "$ranks tasks, but neither mpirun nor srun nor yhrun is here: name a launcher in slurm/site.sh"
fi
prepare_launch

note "$(date '+%F %T') job $SLURM_JOB_ID start $((restarts + 1)) on ${SLURM_JOB_NODELIST:-$(hostname)}, $ranks ranks$why, time left ${left:-unlimited} s: mappo$(quoted "$@")"

# What this script remembers lies where the job was submitted, unless the nodes can't write there.
memory=${SLURM_SUBMIT_DIR:-.}
[ -w "$memory" ] || { note "warning: $memory can't be written to from here: failures are counted in ${TMPDIR:-/tmp}, so on this node only" && memory=${TMPDIR:-/tmp}; }
export MAPPO_EXIT_FILE=$memory/.mappo-exit-$SLURM_JOB_ID
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
counter=$memory/.mappo-failures-$SLURM_JOB_ID
failures=$(cat "$counter" 2>/dev/null || echo 0)
finish() { rm -f "$counter" && exit "$1"; }

if [ $cancelled = 1 ]; then
    why="cancelled; it stays so"
    if [ "$(date +%s)" -ge $((${MAPPO_DEADLINE:-99999999999} - 30)) ]; then
        why="ended by the time limit before it could save: raise train.stop_margin"
    elif taken=$(taken_by_slurm); then
        why="$taken; Slurm starts it again by itself, where that is allowed"
    else
        ends_chain cancelled
    fi
    note "$why. To go on: $continues"
    finish 143
fi
case $code in
0) note "finished" && finish 0 ;;
10) note "stopped on request. To go on: $continues" && ends_chain "stopped on request" && finish 10 ;;
2 | 3 | 4 | 6 | 7 | 126 | 127) note "failed with exit code $code; starting again would not help" && ends_chain failed && finish "$code" ;;
75) why="stopped before the time limit" && failures=0 && rm -f "$counter" ;;
*)
    failures=$((failures + 1)) && echo "$failures" >"$counter"
    why="a rank died or was ended (exit code $code, failure $failures of at most $most_failures)"
    if [ "$failures" -gt "$most_failures" ]; then
        note "failed $failures times (exit code $code), giving up. To go on: $continues"
        ends_chain "given up"
        finish "$code"
    fi
    ;;
esac
if [ "$chain" -gt 1 ]; then
    [ "$link" -lt "$chain" ] && note "$why; job $((link + 1)) of $chain continues" && finish 0
    note "$why, and this was the last of $chain jobs. To go on: $continues"
    finish "$code"
fi
if [ "$restarts" -ge "$most_restarts" ]; then
    note "$why, and was restarted $restarts times already. To go on: $continues"
    finish "$code"
fi
# A requeue ends this script with TERM: from here on that is no cancelling.
trap '' TERM INT USR1
if "$scontrol" requeue "$SLURM_JOB_ID"; then
    note "$why; requeued"
    exit 0
fi
note "$why, but this cluster refuses to requeue the job. To go on: $continues (or CHAIN=5$(quoted "$script" "${again[@]+"${again[@]}"}"))"
finish "$code"
