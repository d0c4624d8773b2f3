# Sourced by test_ranks_openmpi.sh and test_ranks_mpich.sh after choose_mpi: what ranks promise under either library.
build_ranks

# ---- calls, and the tree -------------------------------------------------------------------------------------------------------------
for ranks in 2 4; do
    output=$(run_ranks $ranks calls 2>"$WORK/errors") || { failed=1; cat "$WORK/errors" >&2; }
    [ "$(grep -c '^ok' <<<"$output")" = 13 ] || fail "all_calls_on_${ranks}_ranks_keep_their_promise" "$(grep -c '^ok' <<<"$output") of 13"
    sed "s/^\(not ok\|ok\) - /\1 - ${MPI_NAME}_${ranks}_ranks_/" <<<"$output"
done

same_sums() { # shards, ranks…
    local shards=$1 expected got
    shift
    expected=$("$RANKS" tree "$shards" 3001)
    for ranks; do
        got=$(run_ranks "$ranks" tree "$shards" 3001)
        expect "sum_over_${shards}_shards_has_the_same_bits_on_1_and_${ranks}_ranks" "$expected" "$got"
    done
}
same_sums 8 2 4 8
same_sums 9 3
same_sums 6 3 6
if [ "$("$RANKS" tree 8 3001)" != "$("$RANKS" tree 9 3001)" ]; then pass different_shards_give_different_sums; else fail different_shards_give_different_sums "equal hashes"; fi

# ---- ranks that work until something happens -------------------------------------------------------------------------------------------
# Starts `ranks work` on $1 ranks with watchdog $2 in a fresh folder $RUN; LAUNCHER is mpirun's pid.
start_work() {
    RUN=$(mktemp -d "$WORK/run.XXXX")
    "$MPI_RUN" $(launcher_flags) -n "$1" "$RANKS" work "$2" "$RUN" >"$RUN/out" 2>"$RUN/err" &
    LAUNCHER=$!
    for _ in $(seq 200); do grep -qs started "$RUN/out" && return; sleep 0.05; done
    fail work_starts "$(cat "$RUN/err")"
    exit 1
}
# Waits for the launcher and all ranks: STATUS, or "alive" after 30 s.
await_end() {
    STATUS=alive
    for _ in $(seq 300); do
        local alive=0
        for pid in "$LAUNCHER" $(cat "$RUN"/pid.*); do [ -d /proc/"$pid" ] && [ "$(awk '/^State/ {print $2}' /proc/"$pid"/status 2>/dev/null)" != Z ] && alive=1; done
        [ $alive = 0 ] && { wait "$LAUNCHER"; STATUS=$?; return; }
        sleep 0.1
    done
    kill -9 "$LAUNCHER" $(cat "$RUN"/pid.*) 2>/dev/null
}

start_work 2 30; kill -USR1 "$LAUNCHER"; await_end
# MPICH's mpirun may return 0 after it has forwarded a signal.
[ "$MPI_NAME$STATUS" = mpich0 ] && STATUS=75
expect usr1_through_mpirun_ends_all_with_75 "75 stopped: SIGUSR1 or SIGUSR2" "$STATUS $(tail -1 "$RUN/out")"

start_work 2 30; kill -USR2 "$(cat "$RUN/pid.1")"; await_end
expect usr2_to_one_rank_ends_all_with_75 "75 stopped: SIGUSR1 or SIGUSR2" "$STATUS $(tail -1 "$RUN/out")"

start_work 2 30; touch "$RUN/STOP"; await_end
expect a_stop_file_ends_all_with_10_and_is_removed "10 stopped: $RUN/STOP found, gone" "$STATUS $(tail -1 "$RUN/out"), $([ -e "$RUN/STOP" ] && echo there || echo gone)"

start_work 4 30; kill -9 "$(cat "$RUN/pid.$((RANDOM % 4))")"; await_end
if [ "$STATUS" != alive ] && [ "$STATUS" != 0 ]; then pass a_killed_rank_ends_all; else fail a_killed_rank_ends_all "status $STATUS after 30 s"; fi

start_work 3 1.5; kill -STOP "$(cat "$RUN/pid.1")"; await_end
if [ "$STATUS" != alive ] && [ "$STATUS" != 0 ]; then pass a_stopped_rank_ends_all_by_the_watchdog; else fail a_stopped_rank_ends_all_by_the_watchdog "status $STATUS after 30 s"; fi
if grep -q 'no sign of life for .* in phase "update" (waiting for the other ranks in an allreduce' "$RUN/err"; then pass the_watchdog_names_the_phase; else fail the_watchdog_names_the_phase "$(cat "$RUN/err")"; fi

timeout 30 "$MPI_RUN" $(launcher_flags) -n 3 "$RANKS" die >"$WORK/out" 2>"$WORK/err"
expect a_fatal_error_of_one_rank_ends_all_with_its_code 6 $?
if grep -q 'mappo: rank 2 of 3: told to' "$WORK/err"; then pass a_fatal_error_names_its_rank; else fail a_fatal_error_names_its_rank "$(cat "$WORK/err")"; fi
