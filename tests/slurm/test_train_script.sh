#!/usr/bin/env bash
# What slurm/train.sh decides, with stand-ins for Slurm's tools, the launcher and the program that write down how they were called.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d --suffix=.mappo-train-sh) || exit 1
trap 'rm -rf "$work"' EXIT
failures=0

# check NAME EXPECTED ACTUAL
check() {
    if [ "$2" = "$3" ]; then
        echo "ok - $1"
    else
        failures=$((failures + 1))
        echo "not ok - $1: expected \"$2\", got \"$3\""
        sed 's/^/# log: /' "$work/log" 2>/dev/null
    fi
}
# has NAME PATTERN FILE
has() { check "$1" yes "$(grep -qE -- "$2" "$3" && echo yes || echo "no line of $(basename "$3") matches $2")"; }

# An installation of our own, so that no site file of the developer plays a part.
mkdir -p "$work/p/slurm" "$work/bin" "$work/tools" "$work/yh"
cp "$root/slurm/train.sh" "$work/p/slurm/"
for tool in bash sh env basename dirname readlink sed awk grep cat rm id date printf hostname kill sleep timeout; do
    ln -s "$(command -v $tool)" "$work/bin/$tool"
done
cat >"$work/program" <<'END'
#!/bin/bash
printf '%s\n' "arguments:$(printf ' [%s]' "$@")" "deadline: ${MAPPO_DEADLINE:-none}" >>"$CALLS"
trap 'echo signal: USR1 >>"$CALLS"; exit 75' USR1
trap 'echo signal: TERM >>"$CALLS"; exit 75' TERM
[ -n "${SLOW:-}" ] && { : >"$CALLS.started"; for ((i = 0; i < 200; i++)); do sleep 0.05; done; }
exit "${CODE:-0}"
END
cat >"$work/tools/sbatch" <<'END'
#!/bin/bash
n=$(($(cat "$CALLS.jobs" 2>/dev/null || echo 100) + 1))
echo $n >"$CALLS.jobs"
echo "submit: LINK=$MAPPO_LINK CHAIN=$CHAIN $*" >>"$CALLS"
echo $n
END
cat >"$work/tools/scontrol" <<'END'
#!/bin/bash
case $1 in
show) echo "JobId=$4 JobName=mappo Command=$SCRIPT seed=3 TimeLimit=01:00:00 Requeue=1" ;;
requeue) echo "requeue: $2" >>"$CALLS"; [ -z "${REFUSE:-}" ] || { echo "scontrol: requeue is disabled" >&2; exit 1; } ;;
esac
END
printf '#!/bin/bash\necho "${LEFT:-30:00}"\n' >"$work/tools/squeue"
printf '#!/bin/bash\n[ "$1" = --version ] && { echo "mpirun (Open MPI) 4.1.4"; exit; }\necho "launch: mpirun $*" >>"$CALLS"\nwhile [ "$1" != "$MAPPO" ]; do shift; done\nexec "$@"\n' >"$work/tools/mpirun"
sed 's/mpirun \$\*/srun $*/' "$work/tools/mpirun" >"$work/tools/srun"
chmod +x "$work/program" "$work"/tools/*
cp "$work/tools/sbatch" "$work/yh/yhbatch" && cp "$work/tools/scontrol" "$work/yh/yhcontrol" && cp "$work/tools/squeue" "$work/yh/yhqueue" && cp "$work/tools/srun" "$work/yh/yhrun"

export CALLS=$work/calls SCRIPT=$work/p/slurm/train.sh MAPPO=$work/program
clean() { for name in $(compgen -e | grep -E '^(SLURM_|MAPPO_|CHAIN$)'); do unset "$name"; done; }
clean
cd "$work" || exit 1
# job [VAR=value ...] -- ARGS: one start of the batch script; its exit code in $rc.
job() {
    local settings=()
    while [ "$1" != -- ]; do settings+=("$1") && shift; done
    shift
    rm -f "$CALLS"
    env PATH="${tools:-$work/tools}:$work/bin" SLURM_JOB_ID=42 SLURM_SUBMIT_DIR="$work" SLURM_JOB_NUM_NODES=1 "${settings[@]+"${settings[@]}"}" "$SCRIPT" "$@" >"$work/log" 2>&1
    rc=$?
}
requeues() { grep -c '^requeue' "$CALLS"; }

job -- --fresh seed=3 "run.dir=a b"
check "a_finished_run_exits_0_and_is_not_requeued" "0 0" "$rc $(requeues)"
check "arguments_reach_the_program_unharmed" "arguments: [--fresh] [seed=3] [run.dir=a b]" "$(head -1 "$CALLS")"
job SLURM_RESTART_COUNT=1 -- --fresh seed=3
check "a_restart_drops_fresh" "arguments: [seed=3]" "$(head -1 "$CALLS")"
job CODE=75 -- seed=3
check "exit_75_requeues_the_job_and_exits_0" "0 1" "$rc $(requeues)"
job CODE=75 SLURM_RESTART_COUNT=3 MAPPO_RESTARTS=3 -- seed=3
check "restarts_are_bounded" "75 0" "$rc $(requeues)"
has "the_line_that_continues_is_printed" "sbatch .*-N 1 .*-t 01:00:00 .*train.sh seed=3" "$work/log"
for code in 10 2 3 4 6; do
    job CODE=$code -- seed=3
    check "exit_${code}_is_not_requeued" "$code 0" "$rc $(requeues)"
done
rm -f "$work"/.mappo-failures-*
for code in 137 5 1; do
    job CODE=$code MAPPO_FAILURES=3 -- seed=3
    check "a_dead_rank_is_requeued (exit $code)" "0 1" "$rc $(requeues)"
done
job CODE=137 MAPPO_FAILURES=3 -- seed=3
check "crashes_are_bounded" "137 0" "$rc $(requeues)"
job CODE=75 REFUSE=1 -- seed=3 "run.dir=a b"
check "a_refused_requeue_ends_with_the_programs_code" "75 1" "$rc $(requeues)"
has "a_refused_requeue_prints_the_line_that_continues" "train.sh seed=3 run.dir=a\\\\ b" "$work/log"

# with_signal SIGNAL: sent to the batch script alone, as soon as the program runs
with_signal() {
    rm -f "$CALLS" "$CALLS.started"
    env PATH="$work/tools:$work/bin" SLURM_JOB_ID=42 SLURM_SUBMIT_DIR="$work" SLOW=1 "$SCRIPT" seed=3 >"$work/log" 2>&1 &
    local shell=$! tries
    for ((tries = 0; tries < 200; tries++)); do [ -e "$CALLS.started" ] && break || sleep 0.05; done
    kill -"$1" $shell
    wait $shell
    rc=$?
}
with_signal USR1
check "the_early_signal_reaches_the_program_and_the_job_is_requeued" "0 1 signal: USR1" "$rc $(requeues) $(grep ^signal "$CALLS")"
with_signal TERM
check "a_cancelled_job_is_not_requeued_though_its_program_says_75" "143 0 signal: TERM" "$rc $(requeues) $(grep ^signal "$CALLS")"

# left NAME TEXT SECONDS: what squeue prints, and the deadline that follows
left() {
    local before now deadline
    before=$(date +%s)
    job LEFT="$2" -- seed=3
    now=$(date +%s)
    deadline=$(sed -n 's/^deadline: //p' "$CALLS")
    [ "$3" = none ] && check "$1" none "$deadline" && return
    check "$1" yes "$([ "$deadline" -ge $((before + $3)) ] && [ "$deadline" -le $((now + $3)) ] && echo yes || echo "$((deadline - now)) s instead of $3")"
}
left "the_deadline_is_read_from_squeue (minutes)" 3:04 184
left "the_deadline_is_read_from_squeue (hours)" 2:03:04 7384
left "the_deadline_is_read_from_squeue (days)" 1-02:03:04 93784
left "no_limit_means_no_deadline" UNLIMITED none

job SLURM_NTASKS=4 SLURM_CPUS_PER_TASK=2 -- seed=3
has "several_tasks_start_under_mpirun" "^launch: mpirun -n 4 --quiet --bind-to none $MAPPO seed=3" "$CALLS"
job SLURM_NTASKS=1 -- seed=3
check "a_single_task_needs_no_launcher" "" "$(grep ^launch "$CALLS")"
mv "$work/tools/mpirun" "$work/mpirun"
job SLURM_NTASKS=4 -- seed=3
has "without_mpirun_srun_starts_the_ranks" "^launch: srun -n 4 $MAPPO seed=3" "$CALLS"
job SLURM_NTASKS=4 MAPPO_LAUNCHER="srun --mpi=pmix" -- seed=3
has "the_site_may_name_the_launcher" "^launch: srun --mpi=pmix $MAPPO seed=3" "$CALLS"
tools=$work/yh job SLURM_NTASKS=4 CODE=75 -- seed=3
check "tianhe_names_work" "0 1 yes" "$rc $(requeues) $(grep -q '^launch: srun -n 4' "$CALLS" && echo yes)"
mv "$work/mpirun" "$work/tools/mpirun"

rm -f "$CALLS"
env PATH="$work/tools:$work/bin" MAPPO_SBATCH="-p long" CHAIN=3 "$SCRIPT" --fresh seed=3 >"$work/log" 2>&1
check "chain_submits_dependent_jobs_and_only_the_first_is_fresh" \
    "submit: LINK=1 CHAIN=3 --parsable -p long $SCRIPT --fresh seed=3|submit: LINK=2 CHAIN=3 --parsable -p long --dependency=afterok:101 --kill-on-invalid-dep=yes $SCRIPT seed=3|submit: LINK=3 CHAIN=3 --parsable -p long --dependency=afterok:102 --kill-on-invalid-dep=yes $SCRIPT seed=3|" \
    "$(tr '\n' '|' <"$CALLS")"
job CODE=75 CHAIN=3 MAPPO_LINK=2 -- --fresh seed=3
check "a_link_of_a_chain_is_not_requeued_and_ends_with_0" "0 0 arguments: [seed=3]" "$rc $(requeues) $(grep ^arguments "$CALLS")"
job CODE=75 CHAIN=3 MAPPO_LINK=3 -- seed=3
check "the_last_link_says_that_the_run_is_not_finished" "75 0" "$rc $(requeues)"
job CODE=0 CHAIN=2 -- seed=3
has "a_chain_may_begin_with_sbatch" "^submit: LINK=2 .*afterok:42 .*train.sh seed=3" "$CALLS"

printf 'MAPPO_SBATCH="-p site"\n' >"$work/p/slurm/site.sh"
rm -f "$CALLS"
env PATH="$work/tools:$work/bin" "$SCRIPT" seed=3 >"$work/log" 2>&1
has "site_settings_are_read_from_site_sh" "^submit: .*-p site .*train.sh seed=3" "$CALLS"
exit $((failures > 0))
