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
cp "$root/slurm/train.sh" "$root/slurm/sweep.sh" "$root/slurm/common.sh" "$work/p/slurm/"
for tool in bash sh env basename dirname readlink sed awk grep cat rm id date printf hostname kill sleep timeout head tail xargs tr seq wc; do
    ln -s "$(type -P $tool)" "$work/bin/$tool"
done
cat >"$work/program" <<'END'
#!/bin/bash
[[ " $* " == *" --dry-run "* ]] && { echo "check:$(printf ' [%s]' "$@")" >>"$CALLS"; [ -z "${SAYS:-}" ] || echo "$SAYS"; exit "${CHECK:-0}"; }
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
echo "submit: LINK=$MAPPO_LINK CHAIN=$CHAIN$(printf ' [%s]' "$@")$(env | grep -c '^SLURM_JOB_' | sed 's/^0$//')" >>"$CALLS"
echo $n
END
cat >"$work/tools/scontrol" <<'END'
#!/bin/bash
case $1 in
show) printf 'JobId=%s JobName=mappo\n   RunTime=00:00:00 TimeLimit=01:00:00 TimeMin=N/A\n   Account=(null) QOS=N/A MinMemoryNode=0 %s\n   Command=%s seed=3\n' "$3" "${RECORD:-}" "$SCRIPT" ;;
requeue) echo "requeue: $2" >>"$CALLS"; [ -z "${REFUSE:-}" ] || { echo "scontrol: requeue is disabled" >&2; exit 1; } ;;
esac
END
printf '#!/bin/bash\ncase $* in *PENDING*) echo "${PENDING:-}" ;; *) echo "${LEFT:-30:00}" ;; esac\n' >"$work/tools/squeue"
printf '#!/bin/bash\necho "scancel: $*" >>"$CALLS"\n' >"$work/tools/scancel"
printf '#!/bin/bash\n[ "$1" = --version ] && { echo "mpirun (Open MPI) 4.1.4"; exit; }\necho "launch: mpirun $*" >>"$CALLS"\nwhile [ "$1" != "$MAPPO" ]; do shift; done\nexec "$@"\n' >"$work/tools/mpirun"
sed 's/mpirun \$\*/srun $*/' "$work/tools/mpirun" >"$work/tools/srun"
chmod +x "$work/program" "$work"/tools/*
cp "$work/tools/sbatch" "$work/yh/yhbatch" && cp "$work/tools/scontrol" "$work/yh/yhcontrol" && cp "$work/tools/squeue" "$work/yh/yhqueue" && cp "$work/tools/srun" "$work/yh/yhrun"

export CALLS=$work/calls SCRIPT=$work/p/slurm/train.sh MAPPO=$work/program
clean() { for name in $(compgen -e | grep -E '^(SLURM_|MAPPO_|CHAIN$)'); do unset "$name"; done; }
clean
cd "$work" && mkdir tmp || exit 1
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
job SLURM_SUBMIT_DIR=/nosuch TMPDIR="$work/tmp" CODE=9 -- seed=3
check "a_folder_that_the_nodes_cannot_write_to_stops_nothing" "0 1 yes 1" "$rc $(requeues) $(grep -q '/nosuch can.t be written to' "$work/log" && echo yes) $(cat "$work/tmp/.mappo-failures-42")"
job CODE=75 -- seed=3
check "exit_75_requeues_the_job_and_exits_0" "0 1" "$rc $(requeues)"
job CODE=75 SLURM_RESTART_COUNT=3 MAPPO_RESTARTS=3 -- seed=3
check "restarts_are_bounded" "75 0" "$rc $(requeues)"
has "the_line_that_continues_is_printed" "sbatch .*--nodes=1 .*--time=01:00:00 .*train.sh seed=3" "$work/log"
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

# submit [VAR=value ...] -- ARGS: as on a login node; its exit code in $rc.
submit() {
    local settings=()
    while [ "$1" != -- ]; do settings+=("$1") && shift; done
    shift
    rm -f "$CALLS"*
    env "${settings[@]+"${settings[@]}"}" PATH="$work/tools:$work/bin" "${start:-$SCRIPT}" "$@" >"$work/log" 2>&1
    rc=$?
}
submissions() { sed -n 's/^submit: //p' "$CALLS" 2>/dev/null | tr '\n' '|'; }
submit MAPPO_SBATCH="-p long --comment='my own'" CHAIN=3 -- --fresh seed=3
flags="[--parsable] [-p] [long] [--comment=my own]"
check "chain_submits_dependent_jobs_and_only_the_first_is_fresh" \
    "LINK=1 CHAIN=3 $flags [$SCRIPT] [--fresh] [seed=3]|LINK=2 CHAIN=3 $flags [--dependency=afterany:101] [$SCRIPT] [seed=3]|LINK=3 CHAIN=3 $flags [--dependency=afterany:102] [$SCRIPT] [seed=3]|" "$(submissions)"
has "how_to_end_a_chain_is_said" "scancel 101 102 103" "$work/log"

# ---- what a login node can find out ----
submit -- --fresh ppo.clip=0.1 "run=a b"
check "settings_are_checked_once_before_they_are_submitted" "0 check: [train] [--dry-run] [--quiet] [--fresh] [ppo.clip=0.1] [run=a b]" "$rc $(grep ^check "$CALLS")"
for code in 2 3 4; do
    submit CHECK=$code SAYS='mappo: unknown key "ppo.cliprange"' -- ppo.cliprange=0.1
    check "settings_that_the_program_refuses_are_not_submitted (exit $code)" "$code  yes" "$rc $(submissions) $(grep -q 'unknown key "ppo.cliprange"' "$work/log" && echo yes)"
done
for says in "126:exec format error" "127:error while loading shared libraries: libmpi.so.40" "132:" "124:" '2:mappo: unknown option "--dry-run" (mappo --help)'; do
    submit CHECK="${says%%:*}" SAYS="${says#*:}" -- seed=3
    check "where_the_program_does_not_run_it_says_so_and_goes_on (exit ${says%%:*})" "0 1 yes" "$rc $(grep -c ^submit "$CALLS") $(grep -qE 'could not be checked|are not checked' "$work/log" && echo yes)"
done
submit CHECK=2 MAPPO_CHECK=0 -- seed=3
check "the_check_can_be_left_out" "0 1" "$rc $(grep -c ^submit "$CALLS")"
submit -- --dry-run seed=3
check "a_dry_run_submits_nothing" "0 " "$rc $(submissions)"
for help in --help -h; do
    submit -- $help
    check "help_is_printed_and_nothing_else_done ($help)" "0 yes no" "$rc $(grep -q 'CHAIN=5 slurm/train.sh' "$work/log" && echo yes) $([ -e "$CALLS" ] && echo called || echo no)"
done
start=$work/p/slurm/sweep.sh submit -- --help
check "sweep_prints_help_and_submits_nothing" "0 yes no" "$rc $(grep -q 'slurm/sweep.sh -n' "$work/log" && echo yes) $([ -e "$CALLS" ] && echo called || echo no)"
start=$work/p/slurm/sweep.sh submit CHECK=2 -- seed=1..3 ppo.cliprange=0.1
check "a_sweep_is_checked_before_its_first_job" "2 " "$rc $(submissions)"
start=$work/p/slurm/sweep.sh submit -- seed=1..3 "env.name=a b"
check "a_sweep_submits_what_was_checked" "0 3 3" "$rc $(grep -c '^check: .*\[env.name=a b\]' "$CALLS") $(grep -c '^submit: .*\[env.name=a b\]' "$CALLS")"
start=$work/p/slurm/sweep.sh submit -- seed=1..3,7
check "a_sweep_counts_within_a_list" "0 [seed=1] [seed=2] [seed=3] [seed=7]" "$rc $(sed -n 's/^submit:.* \(\[seed=.*\]\)$/\1/p' "$CALLS" | tr '\n' ' ' | sed 's/ $//')"
for wrong in seed=5..1 seed=1,1 seed=1..3,2 --; do
    start=$work/p/slurm/sweep.sh submit -- "$wrong" "env.name=a"
    check "a_sweep_that_cannot_be_meant_is_refused_in_one_line ($wrong)" "2  1" "$rc $(submissions) $(wc -l <"$work/log" | tr -d ' ')"
done
start=$work/p/slurm/sweep.sh submit -- seed=1..3 run=a
check "a_sweep_into_one_folder_is_refused" "2 " "$rc $(submissions)"
for wrong in CHAIN=0 CHAIN=three CHAIN=08 CHAIN=-1 CHAIN=1e1 MAPPO_RESTARTS=many MAPPO_FAILURES=-3 MAPPO_CHECK=no MAPPO=/nosuch/mappo MAPPO_SITE=/nosuch/site.sh MAPPO_SBATCH="-p 'long"; do
    submit "$wrong" -- seed=3
    check "values_of_variables_are_checked ($wrong)" "2  yes" "$rc $(submissions) $(grep -qF "train.sh: ${wrong%%=*}" "$work/log" && echo yes)"
done
job CODE=75 MAPPO_RESTARTS=many -- seed=3
check "also_in_the_job" "2 no" "$rc $([ -e "$CALLS" ] && echo started || echo no)"

# ---- chains in jobs ----
job CODE=75 CHAIN=3 MAPPO_LINK=2 -- --fresh seed=3
check "a_link_of_a_chain_is_not_requeued_and_ends_with_0" "0 0 arguments: [seed=3]" "$rc $(requeues) $(grep ^arguments "$CALLS")"
job CODE=75 CHAIN=3 MAPPO_LINK=3 -- seed=3
check "the_last_link_says_that_the_run_is_not_finished" "75 0" "$rc $(requeues)"
job CODE=0 CHAIN=2 -- seed=3
has "a_chain_may_begin_with_sbatch" "^submit: LINK=2 .*\[--dependency=afterany:42\] .*train.sh\] \[seed=3\]$" "$CALLS"
record="Account=acc Partition=gpu QOS=high Reservation=r Features=a100&nvlink Licenses=l:2 MinMemoryNode=5G TresPerNode=gres:gpu:a100:4 OverSubscribe=NO"
job CHAIN=2 RECORD="$record" SLURM_NTASKS=4 SLURM_NTASKS_PER_NODE=4 SLURM_GPUS_PER_TASK=1 SLURM_CPUS_PER_TASK=8 -- seed=3
for flag in --account=acc --partition=gpu --qos=high --reservation=r '--constraint=a100&nvlink' --licenses=l:2 --mem=5G --gres=gpu:a100:4 --exclusive --nodes=1 --ntasks=4 --ntasks-per-node=4 --gpus-per-task=1 \
    --cpus-per-task=8 --time=01:00:00; do
    check "jobs_of_a_chain_ask_for_what_the_first_had ($flag)" 1 "$(grep '^submit: LINK=2' "$CALLS" | grep -cF "[$flag]")"
done
check "and_not_for_what_it_had_not" "" "$(grep -oE -- '--(mem-per-cpu|gpus|contiguous|comment)(=[^]]*)?\]' "$CALLS")"
has "the_line_that_continues_is_quoted" "seed=3" "$work/log"
# Who waits for 42, and who for these.
waiting='43 afterany:42(unfulfilled)
44 afterany:43(unfulfilled)
50 afterany:7(unfulfilled)'
for code in 2 10; do
    job CODE=$code CHAIN=3 MAPPO_LINK=1 PENDING="$waiting" -- seed=3
    check "an_end_for_good_takes_the_rest_of_the_chain_along (exit $code)" "$code scancel: 44 43" "$rc $(grep ^scancel "$CALLS")"
done
for code in 0 75 137; do
    job CODE=$code CHAIN=3 MAPPO_LINK=1 PENDING="$waiting" -- seed=3
    check "a_chain_goes_on_after (exit $code)" "0 " "$rc $(grep ^scancel "$CALLS")"
done
CHAIN=3 MAPPO_LINK=1 PENDING=$waiting with_signal TERM
check "a_cancelled_job_takes_the_rest_of_the_chain_along" "143 scancel: 44 43" "$rc $(grep ^scancel "$CALLS")"
CHAIN=3 MAPPO_LINK=1 PENDING=$waiting LEFT=0:20 with_signal TERM
check "a_time_limit_does_not" "143 " "$rc $(grep ^scancel "$CALLS")"
for record in PreemptTime=2026-11-27T13:59:01 "JobState=NODE_FAIL Reason=NodeDown" "JobState=PREEMPTED Reason=None"; do
    CHAIN=3 MAPPO_LINK=1 PENDING=$waiting RECORD=$record with_signal TERM
    check "nor_does_what_slurm_ends ($record)" "143 " "$rc $(grep ^scancel "$CALLS")"
done

# ---- ranks where nobody said how many ----
job SLURM_JOB_NUM_NODES=4 -- seed=3
has "several_nodes_without_tasks_get_a_rank_each" "^launch: mpirun -n 4 .*--map-by ppr:1:node" "$CALLS"
has "and_that_is_said" "4 ranks \(no number of tasks was given: one rank for each node" "$work/log"
job SLURM_JOB_NUM_NODES=2 SLURM_GPUS_ON_NODE=4 -- seed=3
has "several_gpus_without_tasks_get_a_rank_each" "^launch: mpirun -n 8 .*--map-by ppr:4:node" "$CALLS"
job SLURM_JOB_NUM_NODES=1 SLURM_GPUS_ON_NODE=1 -- seed=3
check "one_gpu_needs_no_launcher" "" "$(grep ^launch "$CALLS")"
job SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_GPUS_ON_NODE=4 -- seed=3
check "a_number_that_was_given_counts" "" "$(grep ^launch "$CALLS")"

printf 'MAPPO_SBATCH="-p site"\n' >"$work/p/slurm/site.sh"
submit -- seed=3
has "site_settings_are_read_from_site_sh" "^submit: .*\[-p\] \[site\] .*train.sh\] \[seed=3\]" "$CALLS"

# ---- a folder that no shell likes ----
odd="$work/it's a \$HOME "
odd+='"ü" folder'
mkdir -p "$odd/build" && cp -r "$work/p/slurm" "$odd/" && cp "$work/program" "$odd/build/mappo"
SCRIPT=$odd/slurm/train.sh
cp "$SCRIPT" "$work/slurm_script" # Slurm's copy
submit -u MAPPO -- seed=3 "run=a b"
check "a_clone_in_any_folder_is_submitted" "0 LINK=1 CHAIN=1 [--parsable] [-p] [site] [$SCRIPT] [seed=3] [run=a b]|" "$rc $(submissions)"
(cd "$work" && unset MAPPO && rm -f "$CALLS" && env PATH="$work/tools:$work/bin" SLURM_JOB_ID=42 CODE=75 REFUSE=1 "$work/slurm_script" seed=3 "run=a b" >"$work/log" 2>&1)
check "and_found_by_its_job" "arguments: [seed=3] [run=a b]" "$(head -1 "$CALLS")"
line=$(sed -n 's/.*To go on: sbatch \(.*\) (or CHAIN.*/\1/p' "$work/log")
check "what_it_prints_can_be_pasted" "[$SCRIPT] [seed=3] [run=a b]" "$(bash -c "printf ' [%s]' $line" | sed 's/^.*\] \[\(.*train.sh\]\)/[\1/')"
start=$odd/slurm/sweep.sh submit -u MAPPO -- -n seed=1,2 "run=a b,c"
check "sweep_prints_what_can_be_pasted" "[$SCRIPT] [seed=1] [run=a b]" "$(bash -c "printf ' [%s]' $(head -1 "$work/log")" | sed 's/^ //')"
exit $((failures > 0))
