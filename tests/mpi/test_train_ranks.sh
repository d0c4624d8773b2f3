#!/bin/bash
# Training on any number of ranks and threads, with Open MPI and MPICH.
# slow
# timeout: 300
source "$(dirname "$0")/train.sh"
[ -n "$LAUNCH" ] || skip_all training_on_ranks "this program has no MPI"

# ---- any number of ranks and threads, uneven splits too --------------------------------------------------------------------------------
for case in 1.1 1.2 2.2 3.1 4.2; do
    ranks "${case%.*}" run="$WORK/r$case" threads="${case#*.}" rollout.envs=23 train.env_steps=1000
    expect "${case%.*}_ranks_with_${case#*.}_threads_train" "0 1-5" "$? $(updates_of "$WORK/r$case")"
done

# ---- saved on some, continued on others ----------------------------------------------------------------------------------------------
continue_on() { # ranks that save, ranks that continue
    ranks "$1" run="$WORK/s$1$2" train.env_steps=$((4 * UPDATE))
    ranks "$2" run="$WORK/s$1$2" train.env_steps=$((8 * UPDATE))
    expect "a_run_saved_on_$1_ranks_continues_on_$2" "0 1-8" "$? $(updates_of "$WORK/s$1$2")"
}
continue_on 4 1
continue_on 1 4

# ---- reproducible mode: the same bits ------------------------------------------------------------------------------------------------
same() { # name, run, run
    "$MAPPO" inspect "$2/latest.h5" "$3/latest.h5" >"$WORK/out" 2>"$WORK/err"
    expect "$1" 0 $?
}
FIXED="comm.reproducible=1 train.env_steps=$((6 * UPDATE)) ppo.minibatches=2"
ranks 1 run="$WORK/one" threads=1 $FIXED
for case in 1.2 2.1 2.2 4.1 4.2; do
    ranks "${case%.*}" run="$WORK/f$case" threads="${case#*.}" $FIXED
    same "${case%.*}_ranks_with_${case#*.}_threads_equal_one_rank_bit_for_bit" "$WORK/one" "$WORK/f$case"
done
ranks 2 run="$WORK/other" seed=2 $FIXED
"$MAPPO" inspect "$WORK/one/latest.h5" "$WORK/other/latest.h5" >"$WORK/out" 2>"$WORK/err"
expect another_seed_differs 7 $?

# 4 ranks (of two shards each) come to the parameters of one: NAME of the runs, words of the check, settings. Other numbers of ranks add up
# the same shards along the same tree, which the cases above show.
equals_one_rank() {
    local name=$1 what=$2
    shift 2
    ranks 1 run="$WORK/${name}1" "$@"
    ranks 4 run="$WORK/${name}4" "$@"
    same "4_ranks_with_${what}_equal_one_rank_bit_for_bit" "$WORK/${name}1" "$WORK/${name}4"
}
REPRODUCIBLE="comm.reproducible=1 train.env_steps=$((3 * UPDATE))"
equals_one_rank against a_random_group $REPRODUCIBLE env=mpe/simple_adversary group.adversary.play=random
POPART="$REPRODUCIBLE ppo.minibatches=2 norm.value=popart"
equals_one_rank popart popart $POPART
equals_one_rank running running_statistics $POPART norm.obs=running norm.reward=running env=test/kitchen_sink
equals_one_rank family a_penalty_and_early_stops $REPRODUCIBLE ppo.objective=clip_kl ppo.ratio=per_head ppo.normalise_advantage=minibatch ppo.minibatch_size=40 \
    ppo.grad_clip=joint ppo.target_kl=0.0005 ppo.critic_warmup=1 gae.advantage=td0 gae.target=reward_to_go policy.hidden=20,9 policy.init=torch adam.weight_decay=0.1 env=test/kitchen_sink
equals_one_rank whole whole_episodes $REPRODUCIBLE rollout.unit=episodes norm.obs=running norm.reward=running ppo.minibatches=2 env=test/kitchen_sink train.env_steps=1e6 train.episodes=200
equals_one_rank played groups_that_are_played $REPRODUCIBLE env=mpe/simple_adversary group.agent.play="$WORK/against1" group.adversary.algo=ippo
equals_one_rank selves groups_that_play_themselves $REPRODUCIBLE train.env_steps=$((5 * UPDATE)) env=mpe/simple_tag norm.obs=running policy=gru ppo.chunk=4 ppo.minibatches=2 \
    group.{adversary,agent}.play=self group.{adversary,agent}.pool_interval=1 group.{adversary,agent}.pool_share=0.4
equals_one_rank gru recurrent_networks $REPRODUCIBLE policy=gru ppo.chunk=4 ppo.minibatches=2 env=test/kitchen_sink
equals_one_rank conv convolutions $REPRODUCIBLE policy.conv=5,4 policy.conv_kernel=3,2 policy.conv_padding=valid ppo.minibatches=2 env=overcooked/cramped_room
equals_one_rank turns agents_in_turn $REPRODUCIBLE algo=happo ppo.minibatches=2 env=test/kitchen_sink
REPLAY="$REPRODUCIBLE maddpg.batch=64 maddpg.buffer=480 maddpg.start=200 maddpg.updates=3 env=test/kitchen_sink"
equals_one_rank replay a_replay $REPLAY algo=maddpg maddpg.twin=1 maddpg.explore=ou
equals_one_rank priorities a_replay_by_priority $REPLAY algo=maddpg replay.priority=0.7 replay.floor=0.01 train.seed=3
ranks 4 run="$WORK/replay3" $REPLAY algo=ddpg maddpg.form=openai train.env_steps=$((2 * UPDATE))
ranks 1 run="$WORK/replay3" $REPLAY algo=ddpg maddpg.form=openai
ranks 1 run="$WORK/replay5" $REPLAY algo=ddpg maddpg.form=openai
same a_replay_saved_on_4_ranks_continues_on_one_bit_for_bit "$WORK/replay3" "$WORK/replay5"
ranks 1 run="$WORK/popart1" comm.reproducible=1 norm.value=valuenorm train.env_steps=$((6 * UPDATE))
expect another_normaliser_is_refused_by_name "2 1" "$? $(grep -c 'norm\.value' "$WORK/err")"

WRAPPED="env=test/kitchen_sink wrap.action_repeat=2 wrap.team_reward=sum wrap.clip_obs=2 wrap.stack_obs=3 wrap.last_action=1 wrap.time_left=1 wrap.sticky_action=0.3 wrap.noise_action=0.2 wrap.noise_hold=3"
WRAPPED="$WRAPPED comm.reproducible=1 train.env_steps=$((6 * UPDATE))"
ranks 1 run="$WORK/wrapped1" $WRAPPED
ranks 2 run="$WORK/wrapped2" threads=2 $WRAPPED
same two_ranks_with_wrappers_equal_one_rank_bit_for_bit "$WORK/wrapped1" "$WORK/wrapped2"

NINE="comm.reproducible=1 comm.shards=9 rollout.envs=18 train.env_steps=$((6 * 180))"
ranks 1 run="$WORK/nine1" $NINE
ranks 3 run="$WORK/nine3" $NINE
same three_ranks_with_nine_shards_equal_one_rank_bit_for_bit "$WORK/nine1" "$WORK/nine3"

ranks 4 run="$WORK/half" comm.reproducible=1 ppo.minibatches=2 train.env_steps=$((3 * UPDATE))
ranks 2 run="$WORK/half" $FIXED
same half_on_4_ranks_and_half_on_2_equal_one_rank_bit_for_bit "$WORK/one" "$WORK/half"

# ---- what does not fit is refused before anything is touched -----------------------------------------------------------------------------
refuse() { # name, ranks, text, keys…
    local name=$1 n=$2 text=$3 status
    shift 3
    ranks "$n" run="$WORK/refused" "$@"
    status=$?
    expect "$name" "2 1 untouched" "$status $(grep -c "^mappo: .*$text" "$WORK/err") $([ -e "$WORK/refused" ] && echo touched || echo untouched)"
}
refuse more_ranks_than_environments_name_the_key 3 'raise rollout\.envs' rollout.envs=2
refuse reproducible_ranks_must_divide_the_shards 3 'comm\.shards=8' comm.reproducible=1
refuse shards_must_divide_the_environments 2 'comm\.shards=8' comm.reproducible=1 rollout.envs=23
refuse a_wrong_key_is_said_once 4 'unknown key' ppo.clipp=1

# ---- ranks that were not started alike ---------------------------------------------------------------------------------------------------
apart() { # name, text, arguments of rank 0, arguments of rank 1: exit code 2, so that no batch script tries it again
    timeout 100 $LAUNCH -n 1 "$MAPPO" $3 : -n 1 "$MAPPO" $4 >"$WORK/out" 2>"$WORK/err"
    expect "$1" "2 1" "$? $(grep -c "^mappo: rank 1 on .* was started with $2" "$WORK/err")"
}
apart ranks_with_other_settings_name_the_key_and_both_values 'train\.seed=2 (rank 0: 1)' "$TINY run=$WORK/apart seed=1" "$TINY run=$WORK/apart seed=2"
printf '[adam]\nlr = 0.001\n' >"$WORK/one.ini" && printf '[adam]\nlr = 0.002\n' >"$WORK/two.ini"
apart ranks_with_other_files_name_the_key_and_both_values 'adam\.lr=0\.002 (rank 0: 0\.001)' \
    "$TINY run=$WORK/apart --config $WORK/one.ini" "$TINY run=$WORK/apart --config $WORK/two.ini"
apart ranks_in_other_folders_name_them "run\.dir=$WORK/apart2 (rank 0: $WORK/apart)" "$TINY run=$WORK/apart" "$TINY run=$WORK/apart2"
apart ranks_of_which_one_starts_afresh_are_refused '--fresh' "$TINY run=$WORK/apart" "$TINY run=$WORK/apart --fresh"
apart ranks_of_which_one_only_checks_are_refused '--dry-run' "$TINY run=$WORK/apart" "$TINY run=$WORK/apart --dry-run"
apart ranks_of_which_one_wants_help_are_refused 'nothing, rank 0 with --help' "--help" "$TINY run=$WORK/apart"
apart ranks_with_another_device_are_refused 'cuda\.device=1 (rank 0: -1)' "$TINY run=$WORK/apart" "$TINY run=$WORK/apart cuda.device=1"
apart ranks_with_another_command_are_refused 'eval, rank 0 with train' "$TINY run=$WORK/apart" "eval $WORK/r1.1"
apart evaluating_ranks_with_other_arguments_are_refused 'episodes=20, rank 0 with episodes=10' "eval $WORK/r1.1 episodes=10" "eval $WORK/r1.1 episodes=20"
expect and_nothing_was_made_of_it gone "$([ -e "$WORK/apart" ] && echo there || echo gone)"
cp "$MAPPO" "$WORK/mappo2" && echo >>"$WORK/mappo2"
timeout 100 $LAUNCH -n 1 "$MAPPO" $TINY run="$WORK/apart" : -n 1 "$WORK/mappo2" $TINY run="$WORK/apart" >"$WORK/out" 2>"$WORK/err"
expect ranks_with_another_program_are_refused_by_name "2 1" "$? $(grep -c 'mappo: .*rank 1 on .* differs from rank 0 on .* in the program' "$WORK/err")"

# ---- several seeds: ranks are divided among them -------------------------------------------------------------------------------------------
# Three ranks train seed 1 together, then each one of the others.
mkdir "$WORK/seeds" && cd "$WORK/seeds" || exit
SEEDS="seeds=1-4 train.env_steps=$((3 * UPDATE))"
ranks 3 $SEEDS
rows=$(sed -n "s/^ *\([1-4]\)  finished  *$((3 * UPDATE)) .*/\1/p" "$WORK/out" | paste -sd ' ')
expect seeds_on_ranks_have_a_row_each "0 1 2 3 4" "$? $rows"
ranks 1 run="$WORK/seed4" seed=4 threads=1 train.env_steps=$((3 * UPDATE))
same one_of_them_is_as_if_it_were_alone "$WORK/seed4" "$(echo runs/*-s4-*)"
ranks 3 $SEEDS --dry-run
expect finished_ones_are_rehearsed_on_all_ranks "0 4" "$? $(grep -c 'is finished' "$WORK/out")"
ranks 3 $SEEDS --json train.env_steps=1e9 train.max_seconds=0.5
expect a_limit_ends_all_of_them "75 75 75 75 75" "$? $(grep -o '"exit_code":[0-9]*' "$WORK/out" | head -4 | cut -d: -f2 | paste -sd ' ')"
truncate -s 100 runs/*-s4-*/step-*.h5
ranks 2 seeds=3,4 train.env_steps=1e9 train.max_seconds=0.5
expect of_a_damaged_one_it_is_said_what_begins_it_anew "4 1 1" "$? $(grep -c 'seed 4: is left out, .* seed=4 --fresh in place of seeds=3,4' "$WORK/err") $(grep -c '^ *3  stopped ' "$WORK/out")"
cd - >/dev/null || exit

# ---- the other library -------------------------------------------------------------------------------------------------------------------
if [ -x "${MAPPO_MPICH:-}" ]; then
    MAPPO=$MAPPO_MPICH
    find_launcher
    ranks 1 run="$WORK/mpich1" $FIXED
    for n in 2 4; do
        ranks $n run="$WORK/mpich$n" $FIXED
        same "mpich_${n}_ranks_equal_one_rank_bit_for_bit" "$WORK/mpich1" "$WORK/mpich$n"
    done
    ranks 3 run="$WORK/mpich3" train.env_steps=$((4 * UPDATE))
    ranks 1 run="$WORK/mpich3" train.env_steps=$((8 * UPDATE))
    expect mpich_a_run_saved_on_3_ranks_continues_on_1 "0 1-8" "$? $(updates_of "$WORK/mpich3")"
else
    echo "ok - mpich_ranks_train # SKIP no build with MPICH (MAPPO_MPICH)"
fi
exit $failed
