#!/bin/bash
# Runs on several ranks that are told to stop, lose a rank, or hang: all processes end, and the same command continues.
# waits
# slow
# timeout: 240
source "$(dirname "$0")/../mpi/train.sh"
[ -n "$LAUNCH" ] || skip_all ranks_that_die "this program has no MPI"
# MPICH's mpirun may return 0 after it has forwarded a signal; what the program itself says always holds.
export MAPPO_EXIT_FILE=$WORK/exit
LONG="train.env_steps=1e12 checkpoint.interval=20 comm.watchdog_seconds=60"

stops() { # name, ranks, expected exit code, how (a function of the folder), prefix of tests
    local folder=$WORK/$1
    rm -f "$WORK/exit"
    start "$2" run="$folder" $LONG
    await_updates "$folder" 3 || return
    $4 "$folder"
    await_end "$folder"
    [ "$STATUS" = 0 ] && [[ $1 == mpich* ]] && STATUS=$3
    expect "$1" "$3 $3" "$STATUS $(cat "$WORK/exit")"
    ranks 2 run="$folder" train.max_seconds=0.5 $LONG
    expect "$1_and_continues" 75 $?
    case $(updates_of "$folder") in 1-*) pass "$1_without_a_gap" ;; *) fail "$1_without_a_gap" "$(updates_of "$folder")" ;; esac
}
by_usr1() { kill -USR1 "$LAUNCHER"; }
by_usr2_to_a_rank() { kill -USR2 "$(pids_of "$1" | tail -1)"; }
by_stop_file() { touch "$1/STOP"; }
stops usr1_through_mpirun_saves_and_ends_with_75 2 75 by_usr1
stops usr2_to_one_rank_saves_and_ends_with_75 3 75 by_usr2_to_a_rank
stops a_stop_file_saves_and_ends_with_10 2 10 by_stop_file
expect the_stop_file_is_gone gone "$([ -e "$WORK/a_stop_file_saves_and_ends_with_10/STOP" ] && echo there || echo gone)"

ranks 2 run="$WORK/limited" $LONG train.max_seconds=0.5
expect max_seconds_ends_with_75 75 $?

# ---- death and hanging ---------------------------------------------------------------------------------------------------------------
ends() { # name
    if [ "$STATUS" != alive ] && [ "$STATUS" != 0 ]; then pass "$1"; else fail "$1" "status $STATUS: $(tail -c 500 "$WORK/err")"; fi
}
resumes() { # name, folder
    local newest
    newest=$(ls "$2"/step-*.h5 | tail -1 | sed 's/.*step-0*\([0-9]\)/\1/; s/\.h5//')
    ranks 2 run="$2" $LONG train.max_seconds=0.5
    expect "$1_from_its_newest_checkpoint" "75, $newest env-steps" "$?$(sed -n 's/^continuing .*\(, [0-9]* env-steps\)$/\1/p' "$WORK/out")"
}
for round in 1 2 3; do
    folder=$WORK/killed$round
    start 4 run="$folder" $LONG
    await_updates "$folder" 25 || continue
    sleep 0.$((RANDOM % 10))
    kill -9 "$(pids_of "$folder" | shuf -n 1)"
    await_end "$folder"
    ends "a_killed_rank_ends_all_within_30_s_round_$round"
    resumes "a_run_that_lost_a_rank_resumes_round_$round" "$folder"
done

folder=$WORK/stopped
start 3 run="$folder" ${LONG/watchdog_seconds=60/watchdog_seconds=2}
if await_updates "$folder" 25; then
    kill -STOP "$(pids_of "$folder" | shuf -n 1)"
    await_end "$folder"
    ends a_hanging_rank_is_noticed_by_the_watchdog
    if grep -q 'no sign of life for .* in phase "' "$WORK/err"; then pass the_watchdog_names_the_phase; else fail the_watchdog_names_the_phase "$(cat "$WORK/err")"; fi
    resumes a_run_that_hung_resumes "$folder"
fi

if [ -x "${MAPPO_MPICH:-}" ]; then
    MAPPO=$MAPPO_MPICH
    find_launcher
    stops mpich_usr1_through_mpirun_saves_and_ends_with_75 2 75 by_usr1
    folder=$WORK/mpich-killed
    start 3 run="$folder" $LONG
    if await_updates "$folder" 25; then
        kill -9 "$(pids_of "$folder" | shuf -n 1)"
        await_end "$folder"
        ends mpich_a_killed_rank_ends_all_within_30_s
        resumes mpich_a_run_that_lost_a_rank_resumes "$folder"
    fi
else
    echo "ok - mpich_ranks_that_die # SKIP no build with MPICH (MAPPO_MPICH)"
fi
exit $failed
