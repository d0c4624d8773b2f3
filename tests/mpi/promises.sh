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
# In a device's memory: the same bits.
expect sum_on_a_device_has_the_same_bits_on_1_rank "$("$RANKS" tree 8 3001)" "$("$RANKS" device 8 3001)"
for case in 8.2 8.4 9.3 6.3; do
    expect "sum_over_${case%.*}_shards_staged_on_${case#*.}_ranks_has_the_same_bits" "$("$RANKS" tree "${case%.*}" 3001)" "$(run_ranks "${case#*.}" device "${case%.*}" 3001)"
done
if [ "$("$RANKS" tree 8 3001)" != "$("$RANKS" tree 9 3001)" ]; then pass different_shards_give_different_sums; else fail different_shards_give_different_sums "equal hashes"; fi

# ---- which way gradients go ------------------------------------------------------------------------------------------------------------
way() { # name, expected, ranks, comm.gpu's number, shards, variables…
    local name=$1 expected=$2 n=$3 how=$4 shards=$5
    shift 5
    # shellcheck disable=SC2163
    expect "$name" "$expected" "$(export "$@" _=; run_ranks "$n" ways "$how" "$shards" 2>&1 | grep -v '^Primary\|^---\|^mpirun\|^$' | head -1)"
}
way a_rank_alone_needs_no_way '1 1 0.5 on_stream=1 ' 1 0 0
way nccl_is_taken_where_ranks_own_gpus '2 3 1 on_stream=1 gradients: added up by NCCL' 2 0 0 TOY_NCCL=works
way two_ranks_on_one_gpu_are_staged '2 3 1 on_stream=0 gradients: staged through pinned memory' 2 3 0 TOY_NCCL=works TOY_SHARED=1
way reproducible_sums_are_staged '2 3 1 on_stream=0 gradients: staged through pinned memory, added up in a fixed order (comm.reproducible)' 2 0 2 TOY_NCCL=works
way nccl_that_fails_names_the_key 'mappo: NCCL, connecting the ranks: it fails; comm.gpu=staged does without it' 2 0 0 TOY_NCCL=fails
way nccl_on_a_shared_gpu_is_refused 'mappo: comm.gpu=nccl: ranks 0 and 1 share a GPU, which NCCL refuses; start one rank a GPU, form pods (comm.pod=0), or comm.gpu=staged' 2 1 0 TOY_NCCL=works TOY_SHARED=1
way nccl_that_is_not_there_is_refused 'mappo: comm.gpu=nccl: libtoy.so cannot be loaded; install NCCL where the loader finds it (LD_LIBRARY_PATH), or comm.gpu=staged' 2 1 0
way nccl_and_a_fixed_order_exclude_each_other 'mappo: comm.gpu=nccl: comm.reproducible=1 needs sums in one fixed order, and NCCL adds up in its own; leave comm.gpu at auto, or comm.reproducible off' 2 1 2 TOY_NCCL=works

# ---- pods ------------------------------------------------------------------------------------------------------------------------------
# mpirun may bring the ranks' words in any order
words() { tr -d ' \n' | sed 's/done//' | fold -w 2 | sort | tr -d '\n'; }
pods() { expect "pods_of_$2_with_$3_devices_on_$1_ranks" "$(words <<<"$4")" "$(run_ranks "$1" pods "$2" "$3" 2>&1 | words)"; } # ranks, size, devices, expected
pods 4 0 0 0L1L2L3L
pods 4 0 4 0L1L2L3L
pods 4 0 1 0L0m0m0m
pods 4 0 2 0L0m1L1m
pods 3 2 0 0L0m1L
pods 4 3 1 0L0m0m1L

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
expect usr1_through_mpirun_ends_all_with_75 "75 stopped: SIGUSR1" "$STATUS $(tail -1 "$RUN/out")"

start_work 2 30; kill -USR2 "$(cat "$RUN/pid.1")"; await_end
expect usr2_to_one_rank_ends_all_with_75 "75 stopped: SIGUSR2" "$STATUS $(tail -1 "$RUN/out")"

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
