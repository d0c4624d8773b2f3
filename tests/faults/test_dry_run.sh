#!/usr/bin/env bash
# `mappo train --dry-run` reads settings as a start would, compares them with a run that would be continued, and touches nothing.
# timeout: 60
set -u
cd "$(dirname "$0")/../.." || exit 1
MAPPO=$(readlink -f "${MAPPO:-build/mappo}")
work=$(mktemp -d --suffix=.mappo-dry-run) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0
check() { # NAME EXPECTED ACTUAL
    if [ "$2" = "$3" ]; then echo "ok - $1"; else
        failed=1
        echo "not ok - $1: expected \"$2\", got \"$3\""
    fi
}
listing() { find . -printf '%p %i %m %s %T@\n' | sort; }
dry() { "$MAPPO" train --dry-run "$@" 2>&1; }
first() { dry "$@" | head -1; }
small="rollout.envs=4 eval.env_steps=0 threads=1"
# shellcheck disable=SC2086
"$MAPPO" $small run="a b" train.env_steps=200 --quiet && "$MAPPO" $small env=mpe/simple_tag env.num_good=2 run=tag train.env_steps=200 --quiet || exit 1
# shellcheck disable=SC2086
"$MAPPO" $small algo=maddpg maddpg.buffer=1000 maddpg.batch=16 run=one train.env_steps=100 replay.save=0 --quiet || exit 1
mkdir thesis && ln -s /nowhere/runs thesis/run && echo 'rollout.envs = 8' >thesis/eight.ini && echo mine >thesis/chapter.tex
before=$(listing)

check a_new_run_is_named "settings are valid; a new run in runs/mpe-simple_spread-mappo-s3" "$(first seed=3)"
# shellcheck disable=SC2086
{
    check a_run_that_would_be_continued_is_named "settings are valid; continues a b at 200 env-steps" "$(first $small run="a b" train.env_steps=400)"
    check a_finished_one_too "a b is finished: 200 env-steps reach train.env_steps=200; raise it to go on" "$(dry $small run="a b" train.env_steps=200)"
    check programs_read_json '{"run":"a b","state":"continues","env_steps":200,"environment":"mpe/simple_spread","rules":"mpe2","seed":1,"train.env_steps":400,"train.env_steps_of":"settings","memory_bytes":N}' "$(dry $small run="a b" train.env_steps=400 --json | sed 's/"memory_bytes":[1-9][0-9]*/"memory_bytes":N/')"
    check they_learn_who_said_how_long '"variant":"classic/CartPole-v0","rules":"gymnasium","seed":1,"train.env_steps":200000,"train.env_steps_of":"environment"' "$(dry env=CartPole-v0 --json | grep -o '"variant.*_of":"[a-z]*"')"
    check quiet_says_nothing "" "$(dry $small run="a b" train.env_steps=400 --quiet)"
    check fresh_would_begin_anew "settings are valid; a new run in a b; the run that is there, of 200 env-steps, is moved aside" "$(first $small run="a b" --fresh)"
}
check a_pool_that_stays_empty_is_said 1 "$(dry env=simple_tag group.agent.play=self group.agent.pool_interval=50 train.env_steps=1e5 | grep -c 'pool_interval=50: the run has 32 updates, so no past self is ever kept')"
check noise_that_leaves_the_simplex_is_said 1 "$(dry algo=maddpg maddpg.actor=softmax env.soft_actions=1 wrap.rescale_action=0 | grep -c 'maddpg.explore=gaussian beside maddpg.actor=softmax: ')"
check second_critics_are_new 1 "$(dry algo=maddpg maddpg.twin=1 train.init=one | grep -c 'the second critics of maddpg.twin begin anew')"
check options_are_of_the_run_s_environment "settings are valid; continues tag at 200 env-steps" "$(first run=tag env.num_good=2 train.env_steps=400)"
refused() { # NAME CODE WORDS ARGUMENTS...
    local out code
    out=$(dry "${@:4}")
    code=$?
    check "$1" "$2 yes" "$code $(grep -qF -- "$3" <<<"$out" && echo yes || echo "$out")"
}
refused a_misspelt_key_is_refused 2 'did you mean "ppo.clip"?' ppo.cliprange=0.1
refused an_option_that_the_environment_lacks_is_refused 2 'did you mean "env.rules"?' env.rles=mpe2
refused another_value_of_the_run_s_option_is_refused 2 'was made with other settings (env.num_good (now 3, before 2))' run=tag env.num_good=3
refused what_the_run_s_environment_lacks_is_refused 2 'environment "mpe/simple_tag" has no option "num_goods"' run=tag env.num_goods=2
refused an_environment_beside_the_run_is_taken_at_its_word 2 'environment "mpe/simple_spread" has no option "num_good"' run=tag env=mpe/simple_spread env.num_good=2
refused other_settings_than_the_run_s_are_refused 2 'was made with other settings (rollout.envs (now 8, before 4))' rollout.envs=8 eval.env_steps=0 run="a b"
refused a_preset_that_brings_others_is_named 2 'env.rules (now on-policy of preset=on-policy, before mpe2)' preset=on-policy run="a b"
refused a_file_that_does_too 2 'rollout.envs (now 8 of --config, before 4)' --config thesis/eight.ini run="a b"
refused an_environment_that_cannot_be_made_is_refused 2 'out of range' env.N=1000000
refused settings_that_do_not_fit_each_other_are_refused 2 "comm.shards=3 doesn't divide rollout.envs=128" comm.reproducible=1 comm.shards=3
refused a_file_in_place_of_a_run_names_the_run 2 "run=a b is the one that it lies in" run="a b/latest.h5"
refused a_link_to_a_folder_that_is_gone_is_named 2 "run: is a link to /nowhere/runs, which is not there" run=thesis/run
refused fresh_leaves_a_folder_of_something_else_alone 2 "no run's folder" --fresh run=thesis
refused networks_that_are_not_there_are_refused 4 "train.init: nowhere: no such run or checkpoint" train.init=nowhere
refused networks_that_do_not_fit_are_refused 4 "train.init: a b/step-000000000200.h5 was trained with policy.hidden=64 (here 32)" train.init="a b" policy.hidden=32
check networks_that_fit_are_taken "settings are valid; a new run in c" "$(first train.init="a b/latest.h5" run=c)"
check "a_gpu_is_not_needed" 0 "$(dry backend=cuda seed=3 >/dev/null && echo 0)"
# What only a learner refuses, which is made without its memory.
refused a_chunk_longer_than_the_rollout_is_refused 2 "ppo.chunk=30 is longer than the rollout: rollout.steps=25" policy=gru ppo.chunk=30 rollout.steps=25
refused more_minibatches_than_chunks_are_refused 2 "ppo.minibatches=999, but the rollout of a rank has only" policy=gru ppo.minibatches=999
refused ratios_that_coppo_can_not_multiply_are_refused 2 "it needs ppo.minibatch_unit=step" algo=coppo ppo.normalise_advantage=minibatch
refused what_happo_does_not_normalise_is_refused 2 "ppo.normalise_advantage=rollout or none" algo=happo ppo.normalise_advantage=minibatch
refused a_policy_that_maddpg_does_not_replay_is_refused 2 "of which a GRU remembers nothing" algo=maddpg policy=gru
refused groups_whose_actors_maddpg_asks_for_are_refused 2 "ask for the actors of all agents" algo=maddpg env=mpe/simple_tag group.agent.play=random
refused a_batch_that_the_replay_does_not_hold_is_refused 2 "is more than maddpg.buffer=1000 holds" algo=maddpg maddpg.batch=2000 maddpg.buffer=1000 rollout.steps=1
refused rows_that_can_not_be_counted_are_refused 2 "715827856 is the most" algo=maddpg maddpg.buffer=2000000000
refused what_a_gpu_does_not_collect_is_refused 2 "which a GPU or the ranks of a pod don't collect" backend=cuda rollout.unit=episodes rollout.steps=1
check what_changes_nothing_is_said 1 "$(dry maddpg.tau=0.1 | grep -c 'maddpg.tau has no effect here')"
check self_play_has_its_effect 0 "$(dry env=mpe/simple_tag group.agent.play=self group.agent.pool_share=0.1 | grep -c "has no effect here")"
check a_learner_that_never_begins_is_said 1 "$(dry algo=maddpg train.env_steps=1000 | grep -c 'nothing will be learned: 25600 steps are to be held')"
# Memory is said and not taken; another machine may have it.
check memory_is_said_by_parts 1 "$(dry | grep -cE '^memory: [0-9.]+ MB .input tiles [0-9.]+ MB, rollout [0-9.]+ [kM]B, .*, and what environments take$')"
check a_replay_is_named 1 "$(dry algo=maddpg | grep -cx 'replay: 62500 steps of each of 16 environments, 460 MB')"
check "a_gpu_s_is_not_guessed" 1 "$(dry backend=cuda | grep -cx "memory: the GPU's is planned where it is, when the run begins")"
# 460 bytes a step: more than any machine that runs this has. The shell's limit is of what can be written to.
out=$(ulimit -d 2000000 && dry algo=maddpg maddpg.buffer=600000000 rollout.envs=512)
check more_memory_than_there_is_is_no_mistake "0 1 1" "$? $(grep -c 'not enough memory on this machine: the run needs 276 GB (2760[0-9]* bytes), of which .* bytes) are free here; replay: 1171875 steps' <<<"$out") $(grep -c '^settings are valid' <<<"$out")"
mebibytes() { "${PYTHON:-python3}" -c 'import resource, subprocess, sys; subprocess.run(sys.argv[1:], capture_output=True); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)' "$MAPPO" train --dry-run "$@"; }
for taken in "algo=maddpg maddpg.buffer=600000000 rollout.envs=512" "rollout.envs=100000 rollout.steps=2000 ppo.minibatches=4" "algo=happo policy=gru critic.agent_id=1 rollout.envs=100000 rollout.steps=500 norm.obs=running comm.reproducible=1 comm.shards=8"; do
    # shellcheck disable=SC2086
    check "memory_is_not_taken: $taken" yes "$(mebibytes=$(mebibytes $taken) && [ "$mebibytes" -lt 400 ] && echo yes || echo "$mebibytes MiB")"
done
check "nothing_was_touched" "$before" "$(listing)"
# A damaged newer checkpoint: a start would set it aside.
head -c 1000 "a b/step-000000000200.h5" >"a b/step-000000000300.h5"
before=$(listing)
# shellcheck disable=SC2086
check damage_is_said_and_left_where_it_is "1 1 $before" "$(dry $small run="a b" train.env_steps=400 >"$work.out" && grep -c 'falling back to' "$work.out") $(grep -c 'continues a b at 200' "$work.out") $(listing)"
rm -f "$work.out"
exit $failed
