#!/usr/bin/env bash
# A real Slurm of one node: training as a job, stopped by the time limit, a signal, a dead rank, a file, scancel; and continued.
# waits
# slow
# timeout: 400
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/slurm/cluster.sh
. "$root/tests/slurm/cluster.sh"
MAPPO=$(readlink -f "${MAPPO:-$root/build/mappo}")
export MAPPO
if ! command -v mpirun >/dev/null; then
    echo "ok - a_job_survives_its_time_limit # SKIP needs mpirun"
    exit 0
fi
work=$(mktemp -d --suffix=.mappo-round-trip) || exit 1
trap 'cluster_stop; rm -rf "$work"' EXIT
trap 'exit 143' TERM INT
if ! cluster_start; then
    echo "ok - a_job_survives_its_time_limit # SKIP $cluster_why"
    exit 0
fi
cd "$work" || exit 1
field() { timeout 20 scontrol show job -o "$1" | tr ' ' '\n' | sed -n "s/^$2=//p"; }
updates() { cat "$work/$1/metrics.jsonl" 2>/dev/null | wc -l; }
more_updates() { [ "$(updates "$1")" -gt "$2" ]; }
# The updates of a log are 1, 2, 3, … with none twice and none left out.
consecutive() { sed -n 's/.*"update": *\([0-9]*\).*/\1/p' "$work/$1/metrics.jsonl" | awk '$1 != NR { bad = NR; exit } END { print bad ? "line " bad " is another update" : "yes" }'; }
submit() { timeout 30 sbatch --parsable "$@"; }
# Far more steps than time; small, so that an update takes little.
endless="train.env_steps=1e12 rollout.envs=8 eval.env_steps=0 threads=1 seed=3"

# Job A: one rank, no signal asked for; the limit of a minute, known from squeue, must be enough.
# shellcheck disable=SC2086
a=$(submit -n 1 -t 1 --signal=B:USR1@0 "$root/slurm/train.sh" $endless run.dir=a)

# Job B: two ranks.
# shellcheck disable=SC2086
b=$(submit -n 2 -t 10 "$root/slurm/train.sh" $endless run.dir=b)
log=$work/mappo-$b.log
until_true 30 more_updates b 3
check "a_job_trains" RUNNING "$(field "$b" JobState)" "$log"

timeout 20 scancel --signal=USR1 --batch "$b"
until_true 40 grep -q 'start 2 on' "$log"
check "the_signal_saves_and_requeues" "1 1" "$(field "$b" Restarts) $(grep -c 'before the time limit; requeued' "$log")" "$log"
saved=$(updates b)
until_true 30 more_updates b $((saved + 3))
check "the_requeued_job_continues_the_run" "yes yes" "$([ "$(updates b)" -gt "$saved" ] && echo yes) $(consecutive b)" "$log"

# A rank of this job: a process of ours that runs the program on this folder.
for process in /proc/[0-9]*; do
    [ "$(readlink "$process/exe" 2>/dev/null)" = "$MAPPO" ] || continue
    [ "$(readlink "$process/cwd" 2>/dev/null)" = "$work" ] || continue
    tr '\0' '\n' <"$process/environ" 2>/dev/null | grep -qx "SLURM_JOB_ID=$b" || continue
    rank=${process#/proc/}
done
kill -9 "${rank:-0}"
until_true 40 grep -q 'start 3 on' "$log"
check "a_killed_rank_requeues_the_job" "2 1" "$(field "$b" Restarts) $(grep -c 'a rank died.*' "$log")" "$log"
saved=$(updates b)
until_true 30 more_updates b $((saved + 3))
check "and_the_run_continues" "yes yes" "$([ "$(updates b)" -gt "$saved" ] && echo yes) $(consecutive b)" "$log"

timeout 20 scancel "$b"
check "a_cancelled_job" CANCELLED "$(cluster_wait "$b" 30 'CANCELLED|COMPLETED|FAILED')" "$log"
until_true 10 grep -q 'cancelled; it stays so' "$log"

# Job C: the same folder with a total within reach: continues and finishes.
reached=$(sed -n 's/.*"env_steps": *\([0-9]*\).*/\1/p' b/metrics.jsonl | tail -1)
# shellcheck disable=SC2086
c=$(submit -n 2 -t 10 "$root/slurm/train.sh" $endless run.dir=b train.env_steps=$((reached + 4000)))
check "another_job_finishes_the_cancelled_run" COMPLETED "$(cluster_wait "$c" 60 'COMPLETED|FAILED|CANCELLED')" "$work/mappo-$c.log"
check "no_update_stands_twice_or_is_missing" yes "$(consecutive b)"
check "the_last_checkpoint_is_whole" 0 "$("$MAPPO" inspect b/latest.h5 --check >/dev/null 2>&1 && echo 0 || echo damaged)"
check "a_cancelled_job_stays_cancelled" "CANCELLED 2" "$(field "$b" JobState) $(field "$b" Restarts)" "$log"

# Job A by now has come near its limit.
log=$work/mappo-$a.log
until_true 90 grep -q 'start 2 on' "$log"
check "the_time_limit_saves_and_requeues_without_any_signal" "1 1" "$(field "$a" Restarts) $(grep -c 'before the time limit; requeued' "$log")" "$log"
saved=$(updates a)
until_true 30 more_updates a $((saved + 3))
check "after_the_time_limit_the_run_continues" yes "$(consecutive a)" "$log"
touch a/STOP
check "a_stop_file_ends_the_job_for_good" "FAILED 10:0 1" "$(cluster_wait "$a" 30 'COMPLETED|FAILED|CANCELLED|PENDING') $(field "$a" ExitCode) $(field "$a" Restarts)" "$log"
exit $((failures > 0))
