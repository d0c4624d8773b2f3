#!/usr/bin/env bash
# A real Slurm of two nodes: chains of jobs keep what the first one asked for, go on after a lost node and end with a cancelled job; tasks
# have their cores under srun; a clone lies in any folder.
# waits
# slow
# timeout: 300
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/slurm/cluster.sh
. "$root/tests/slurm/cluster.sh"
work=$(mktemp -d --suffix=.mappo-chains) || exit 1
trap 'cluster_stop; rm -rf "$work"' EXIT
trap 'exit 143' TERM INT
if ! cluster_start 2; then
    echo "ok - a_chain_goes_on_after_a_lost_node # SKIP $cluster_why"
    exit 0
fi
log_of() { echo "$clone/mappo-$1.log"; }
says() { grep -qE -- "$2" "$(log_of "$1")" 2>/dev/null; } # JOB PATTERN
followers() { sed -n 's/^train.sh: job \([0-9]*\) submitted.*/\1/p' "$(log_of "$1")"; }

# A clone in a folder that needs quotes, with the program that writes down how it was started.
clone="$work/it's a \$HOME \"ü\" folder"
mkdir -p "$clone/build" && cp -r "$root/slurm" "$clone/" && rm -f "$clone/slurm/site.sh" && cd "$clone" || exit 1
cat >build/mappo <<'S'
#!/bin/bash
case " $* " in *" --dry-run "*) exit 0 ;; esac
echo "program: task ${SLURM_PROCID:-none} on ${SLURMD_NODENAME:-} with ${SLURM_CPUS_PER_TASK:-no number of} cores:$(printf ' [%s]' "$@")"
trap 'exit 75' USR1 TERM
for argument in "$@"; do case $argument in wait) for ((i = 0; i < 600; i++)); do sleep 0.1; done ;; esac done
S
chmod +x build/mappo
unset MAPPO CHAIN MAPPO_SBATCH
submit() { timeout 30 sbatch --parsable "$@"; }

# ---- what the first of a chain asked for ----
# One line a field, without what belongs to one job alone.
record() { timeout 20 scontrol show job "$1" | sed 's/\([A-Za-z]\) \([A-Z][A-Za-z:\/]*=\)/\1\n\2/g' | tr ' ' '\n' | grep -E '^(Account|Partition|QOS|Features|TimeLimit|CPUs\/Task|NumTasks|NtasksPerN:B:S:C|MinMemory[A-Z]*[a-z]*|OverSubscribe|ExcNodeList|Contiguous|Nice|Tres[A-Za-z]*|[A-Za-z]*PerTres|NtasksPerTRES|MailUser|MailType|Comment)='; }
while IFS='|' read -r name flags; do
    # shellcheck disable=SC2086
    job=$(CHAIN=2 submit -t 5 $flags slurm/train.sh seed=3 "run=a b" wait 2>"$work/refused") || { check "a_chain_is_submitted ($name)" yes "$(tail -1 "$work/refused")" && continue; }
    until_true 40 says "$job" 'start 1 on'
    next=$(followers "$job")
    check "jobs_of_a_chain_ask_for_what_the_first_had ($name)" "$(record "$job")" "$(record "${next:-none}")" "$(log_of "$job")"
    check "no_difference_is_left ($name)" 0 "$(grep -c warning "$(log_of "$job")")" "$(log_of "$job")"
    # shellcheck disable=SC2086
    timeout 20 scancel $next "$job"
done <<'END_OF_CASES'
account, GPUs and memory of a node|-A project -n 2 --gpus-per-node=2 --mem=300M --comment=mine
tasks of a node, memory of a core|-N 2 --ntasks-per-node=2 -c 1 --mem-per-cpu=100M -C fast --gres=gpu:1
GPUs of a task|-n 2 --gpus-per-task=1 --cpus-per-gpu=2 --mem-per-gpu=50M
GPUs of a job, whole nodes|-G 2 -n 2 --exclusive --mail-user=me@here --mail-type=END
END_OF_CASES

# ---- a lost node ----
job=$(CHAIN=2 submit -n 1 -t 5 --no-requeue slurm/train.sh seed=3 wait)
until_true 40 says "$job" '^program'
next=$(followers "$job")
lost=$(timeout 20 scontrol show job "$job" | sed -n 's/^ *NodeList=//p')
timeout 20 scontrol update "NodeName=$lost" State=DOWN Reason=test
check "a_node_is_lost" NODE_FAIL "$(cluster_wait "$job" 40 'NODE_FAIL|CANCELLED|FAILED|COMPLETED')" "$(log_of "$job")"
check "a_chain_goes_on_after_a_lost_node" RUNNING "$(cluster_wait "$next" 60 'RUNNING|CANCELLED|FAILED|COMPLETED')" "$(log_of "$job")"
until_true 20 says "$next" '^program'
check "with_the_same_arguments" "[seed=3] [wait]" "$(sed -n 's/^program.*cores: //p' "$(log_of "$next")" 2>/dev/null)"
timeout 20 scancel "$next"
timeout 20 scontrol update "NodeName=$lost" State=RESUME 2>/dev/null # where it is not back by itself

# ---- an end for good ----
job=$(CHAIN=3 submit -n 1 -t 5 slurm/train.sh wait)
until_true 40 says "$job" '^program'
waiting=$(followers "$job")
timeout 20 scancel "$job"
states=""
for next in $waiting; do states="$states $(cluster_wait "$next" 40 'RUNNING|CANCELLED|FAILED|COMPLETED')"; done
check "cancelling_a_job_ends_its_chain" " CANCELLED CANCELLED" "$states" "$(log_of "$job")"
job=$(CHAIN=2 submit -n 1 -t 5 slurm/train.sh seed=3)
until_true 40 says "$job" finished
next=$(followers "$job")
check "after_a_finished_run_the_next_job_ends_at_once" COMPLETED "$(cluster_wait "$next" 40 'CANCELLED|FAILED|COMPLETED')" "$(log_of "$job")"

# ---- tasks and their cores ----
job=$(MAPPO_LAUNCHER="srun" submit -n 2 -c 2 -t 5 slurm/train.sh)
until_true 40 says "$job" finished
check "tasks_have_their_cores_under_srun" 2 "$(grep -c '^program: task [01] on .* with 2 cores' "$(log_of "$job")")" "$(log_of "$job")"
job=$(MAPPO_LAUNCHER="srun -n 2 -N 2" submit -N 2 -t 5 slurm/train.sh)
until_true 40 says "$job" finished
check "nodes_without_tasks_are_used_and_named" "2 1" "$(grep -c '^program: task' "$(log_of "$job")") $(grep -c '2 ranks (no number of tasks was given: one rank for each node' "$(log_of "$job")")" "$(log_of "$job")"
exit $((failures > 0))
