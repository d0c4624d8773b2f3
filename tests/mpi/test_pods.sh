#!/bin/bash
# Pods: ranks that step environments for another one. The same bits as without, whatever the pods; and what happens when a member fails.
# waits
# slow
# timeout: 300
source "$(dirname "$0")/train.sh"
[ -n "$LAUNCH" ] || skip_all pods "this program has no MPI"

same() { # name, run, run
    "$MAPPO" inspect "$2/latest.h5" "$3/latest.h5" >"$WORK/out" 2>"$WORK/err"
    expect "$1" 0 $?
}
numbers_of() { sed -E 's/"[a-z_]*seconds[a-z_]*":[^,]*,//g; s/"[a-z_]*per_second":[^,]*,//g' "$1/metrics.jsonl"; }

# ---- the same bits -------------------------------------------------------------------------------------------------------------------
STEPS="train.env_steps=$((6 * UPDATE)) ppo.minibatches=2"
ranks 1 run="$WORK/one" threads=1 $STEPS
for case in 2.1 2.2 3.1 4.1; do
    n=${case%.*}
    ranks "$n" run="$WORK/pod$case" threads="${case#*.}" comm.pod="$n" $STEPS
    same "a_pod_of_${n}_with_${case#*.}_threads_equals_one_rank_bit_for_bit" "$WORK/one" "$WORK/pod$case"
done
timeout 60 $LAUNCH -n 4 "$MAPPO" comm.pod=2 rollout.envs=3 --dry-run >"$WORK/out" 2>"$WORK/err"
expect a_dry_run_plans_for_those_who_learn "0 1" "$? $(grep -c 'settings are valid' "$WORK/out")"
expect the_first_lines_say_who_learns 1 "$(grep -c '1 rank of 4 learns; the others step environments for them' "$WORK/pod4.1/log.txt")"
expect a_pod_reports_the_same_numbers "$(numbers_of "$WORK/one" | md5sum)" "$(numbers_of "$WORK/pod4.1" | md5sum)"

ranks 2 run="$WORK/two" threads=1 $STEPS
for n in 3 4; do # 3: a pod of 2 and one of 1
    ranks "$n" run="$WORK/two$n" threads=1 comm.pod=2 $STEPS
    same "two_pods_of_${n}_ranks_equal_two_ranks_bit_for_bit" "$WORK/two" "$WORK/two$n"
done

SINK="env=test/kitchen_sink $STEPS"
ranks 1 run="$WORK/sink1" $SINK
ranks 3 run="$WORK/sink3" comm.pod=3 $SINK
same every_array_of_an_environment_goes_through_a_pod "$WORK/sink1" "$WORK/sink3"
WRAPPED="env=test/kitchen_sink wrap.action_repeat=2 wrap.team_reward=sum wrap.clip_obs=2 wrap.stack_obs=3 wrap.last_action=1 wrap.time_left=1 wrap.sticky_action=0.3 wrap.noise_action=0.2 wrap.noise_hold=3"
ranks 1 run="$WORK/wrapped1" $WRAPPED $STEPS
ranks 3 run="$WORK/wrapped3" comm.pod=3 $WRAPPED $STEPS
same and_so_do_wrappers "$WORK/wrapped1" "$WORK/wrapped3"
for player in random scripted; do
    ranks 1 run="$WORK/$player" env=test/kitchen_sink group.runner.play=$player train.env_steps=$((3 * UPDATE))
    ranks 3 run="$WORK/${player}3" comm.pod=3 env=test/kitchen_sink group.runner.play=$player train.env_steps=$((3 * UPDATE))
    same "a_${player}_group_plays_the_same_in_a_pod" "$WORK/$player" "$WORK/${player}3"
done

FIXED="comm.reproducible=1 $STEPS"
ranks 1 run="$WORK/fixed1" $FIXED
ranks 4 run="$WORK/fixed4" comm.pod=2 $FIXED
same two_pods_in_reproducible_mode_equal_one_rank_bit_for_bit "$WORK/fixed1" "$WORK/fixed4"

# More ranks than environments in a pod: some have nothing to step.
ranks 1 run="$WORK/few1" rollout.envs=3 train.env_steps=300
ranks 4 run="$WORK/few4" rollout.envs=3 train.env_steps=300 comm.pod=4
same more_ranks_than_environments_in_a_pod_are_allowed "$WORK/few1" "$WORK/few4"

# ---- saved by one shape, continued by another ------------------------------------------------------------------------------------------
ranks 4 run="$WORK/half" comm.pod=4 ppo.minibatches=2 train.env_steps=$((2 * UPDATE))
ranks 1 run="$WORK/half" ppo.minibatches=2 train.env_steps=$((4 * UPDATE))
ranks 2 run="$WORK/half" comm.pod=2 $STEPS
expect pods_of_4_1_and_2_continue_one_another "0 1-6" "$? $(updates_of "$WORK/half")"
same and_equal_an_uninterrupted_rank_bit_for_bit "$WORK/one" "$WORK/half"
ranks 2 run="$WORK/half" comm.pod=2 $STEPS
expect a_finished_run_ends_the_members_too "0 1" "$? $(grep -c 'is finished' "$WORK/out")"

# ---- errors --------------------------------------------------------------------------------------------------------------------------
refuse() { # name, expected code, text, ranks, keys…
    local name=$1 code=$2 text=$3 n=$4 status
    shift 4
    ranks "$n" "$@"
    status=$?
    expect "$name" "$code 1" "$status $(grep -c "^mappo: .*$text" "$WORK/err")"
}
FAULTY="env=test/kitchen_sink comm.pod=3 train.env_steps=2400"
refuse a_members_environment_error_is_said_once_with_its_number 3 'number 20: ' 3 run="$WORK/bad" $FAULTY env.fault=error env.fault_env=20
refuse a_leaders_environment_error_too 3 'number 0: ' 3 run="$WORK/bad0" $FAULTY env.fault=error env.fault_env=0
refuse a_members_nan_is_found_where_it_was_written 6 'number 20: reward of agent 0 of group "runner" is NaN, after step 0$' 3 run="$WORK/nan" $FAULTY env.fault=nan_reward env.fault_env=20
refuse a_members_mask_that_leaves_no_action_too 3 'number 20: the mask of agent 2 of group "runner", .*, after step 1$' 3 run="$WORK/mask" $FAULTY env.fault=no_choice env.fault_env=20 env.fault_step=1
refuse a_members_reward_that_is_not_shared_too 3 'number 20: the reward of agent 1 of group "watcher" .*, after step 2$' 3 run="$WORK/unshared" $FAULTY env.fault=unshared_reward env.fault_env=20 env.fault_step=2
refuse a_members_episode_that_does_not_end_too 3 'number 20: its episode goes on .*, after step 11$' 3 run="$WORK/endless" $FAULTY env.fault=endless env.fault_env=20
refuse a_wrong_option_ends_the_members 2 'no option' 3 run="$WORK/wrong" comm.pod=3 env.nonsense=1
refuse more_pods_than_environments_name_the_key 2 'raise rollout\.envs' 4 run="$WORK/more" comm.pod=2 rollout.envs=1

# A /dev/shm of its own, for whoever may have one.
if unshare --mount sh -c 'mount -t tmpfs -o size=60m tmpfs /dev/shm' 2>/dev/null; then
    # shellcheck disable=SC2016
    timeout 60 unshare --mount sh -c 'mount -t tmpfs -o size=60m tmpfs /dev/shm && exec "$@"' sh $LAUNCH -n 2 "$MAPPO" $TINY run="$WORK/huge" comm.pod=2 \
        rollout.envs=200000 rollout.steps=1 >"$WORK/out" 2>"$WORK/err"
    expect too_little_shared_memory_says_how_much_more "5 1" "$? $(grep -c '^mappo: /dev/shm on .* has .* MB free and the environments of its 1 pod need .* MB, .* MB more: ' "$WORK/err")"
else
    echo "ok - too_little_shared_memory_says_how_much_more # SKIP mount namespaces are not allowed here"
fi

# ---- death, hanging, signals -----------------------------------------------------------------------------------------------------------
LONG="train.env_steps=1e12 checkpoint.interval=20 comm.pod=3"
pid_of_rank() { # folder, rank
    local pid
    for pid in $(pids_of "$1"); do
        tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | grep -qxE "(OMPI_COMM_WORLD_RANK|PMI_RANK)=$2" && echo "$pid"
    done
}
ends() { # name, text of an error; empty = any
    if [ "$STATUS" != alive ] && [ "$STATUS" != 0 ] && { [ -z "$2" ] || grep -q "$2" "$WORK/err"; }; then pass "$1"; else fail "$1" "status $STATUS: $(tail -c 500 "$WORK/err")"; fi
}
for victim in 0 2; do
    folder=$WORK/killed$victim
    start 3 run="$folder" $LONG comm.watchdog_seconds=20
    if await_updates "$folder" 25; then
        kill -9 "$(pid_of_rank "$folder" $victim)"
        await_end "$folder"
        ends "a_killed_rank_${victim}_of_a_pod_ends_all_within_30_s" ""
        ranks 2 run="$folder" $LONG train.max_seconds=0.5 comm.pod=2
        expect "a_pod_that_lost_rank_${victim}_resumes" 75 $?
    fi
done

folder=$WORK/stopped
start 3 run="$folder" $LONG comm.watchdog_seconds=2
if await_updates "$folder" 25; then
    kill -STOP "$(pid_of_rank "$folder" 1)"
    await_end "$folder"
    ends a_hanging_member_is_named_by_the_watchdog 'no sign of life for .* in phase ".*" (waiting for rank 1, which steps environments)'
fi
folder=$WORK/stalled
start 3 run="$folder" $LONG comm.watchdog_seconds=2 env=test/kitchen_sink env.fault=stall env.fault_env=20
await_end "$folder"
ends a_member_that_hangs_in_its_environment_says_so 'rank [12] of 3: no sign of life for .* in phase "stepping environments"'

stops() { # name, expected code, how
    local folder=$WORK/$1
    start 3 run="$folder" $LONG
    await_updates "$folder" 3 || return
    $3 "$folder"
    await_end "$folder"
    [ "$STATUS" = 0 ] && [[ $1 == mpich* ]] && STATUS=$2
    expect "$1" "$2" "$STATUS"
}
usr1_to_mpirun() { kill -USR1 "$LAUNCHER"; }
usr2_to_a_member() { kill -USR2 "$(pid_of_rank "$1" 2)"; }
stops usr1_through_mpirun_saves_and_ends_a_pod_with_75 75 usr1_to_mpirun
stops usr2_to_a_member_reaches_its_leader 75 usr2_to_a_member

# While a member steps, which here it does nearly always, and commands come without a pause: it must look for signals then, too.
for try in 1 2 3; do
    folder=$WORK/stepping$try
    start 2 run="$folder" threads=1 comm.pod=2 env=test/busy env.microseconds=2000 train.env_steps=1e12 checkpoint.interval=1000
    await_updates "$folder" 2 || break
    kill -USR2 "$(pid_of_rank "$folder" 1)"
    await_end "$folder"
    expect "usr2_to_a_member_that_steps_reaches_its_leader ($try)" 75 "$STATUS"
    [ "$STATUS" = 75 ] || break
done

# ---- a GPU that several ranks share: it is emulated -----------------------------------------------------------------------------------------
EMULATED=${MAPPO_EMULATED:-${BUILD:-build}/emulated/mappo}
if [ -x "$EMULATED" ]; then
    REAL=$MAPPO MAPPO=$EMULATED
    GPU="backend=cuda threads=1 rollout.envs=8 train.env_steps=160"
    ranks 1 run="$WORK/gpu1" $GPU cuda.environments=0
    ranks 3 run="$WORK/gpu3" $GPU cuda.environments=0
    expect ranks_that_share_a_gpu_form_a_pod 1 "$(grep -c '1 rank of 3 learns; the others step environments' "$WORK/gpu3/log.txt")"
    same a_pod_with_a_gpu_equals_one_rank_bit_for_bit "$WORK/gpu1" "$WORK/gpu3"
    ranks 2 run="$WORK/gpu2" $GPU
    expect environments_on_the_gpu_leave_the_others_idle 1 "$(grep -c 'the others have nothing to do' "$WORK/gpu2/log.txt")"
    same and_give_the_same_bits_too "$WORK/gpu1" "$WORK/gpu2"
    refuse nccl_on_one_gpu_is_refused_by_name 2 'comm\.gpu=nccl: ranks 0 and 1 share a GPU' 2 run="$WORK/nccl" $GPU comm.pod=1 comm.gpu=nccl
    ranks 2 run="$WORK/staged" $GPU comm.pod=1
    timeout 100 $LAUNCH -n 2 "$MAPPO" bench backend=cuda rollout.envs=4 rollout.steps=2 policy.hidden=16 ppo.epochs=1 threads=1 >"$WORK/out" 2>"$WORK/err"
    expect a_benchmark_says_that_it_forms_no_pods "0 1" "$? $(grep -c '^2 ranks share 1 GPU of this node and all learn' "$WORK/out")"
    expect the_way_of_gradients_is_said 1 "$(grep -c 'gradients: staged through pinned memory' "$WORK/staged/log.txt")"
    MAPPO=$REAL
else
    echo "ok - pods_with_a_gpu # SKIP no emulated build (make emulated)"
fi

# ---- the other library -----------------------------------------------------------------------------------------------------------------
if [ -x "${MAPPO_MPICH:-}" ]; then
    MAPPO=$MAPPO_MPICH
    find_launcher
    ranks 4 run="$WORK/mpich4" threads=1 comm.pod=4 $STEPS
    same mpich_a_pod_of_4_equals_one_rank_bit_for_bit "$WORK/one" "$WORK/mpich4"
    stops mpich_usr2_to_a_member_reaches_its_leader 75 usr2_to_a_member
else
    echo "ok - mpich_pods # SKIP no build with MPICH (MAPPO_MPICH)"
fi
exit $failed
