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
small="rollout.envs=4 eval.env_steps=0 threads=1"
# shellcheck disable=SC2086
"$MAPPO" $small run="a b" train.env_steps=200 --quiet && "$MAPPO" $small env=mpe/simple_tag env.num_good=2 run=tag train.env_steps=200 --quiet || exit 1
mkdir thesis && ln -s /nowhere/runs thesis/run && echo 'rollout.envs = 8' >thesis/eight.ini && echo mine >thesis/chapter.tex
before=$(listing)

check a_new_run_is_named "settings are valid; a new run in runs/mpe-simple_spread-mappo-s3" "$(dry seed=3)"
# shellcheck disable=SC2086
{
    check a_run_that_would_be_continued_is_named "settings are valid; continues a b at 200 env-steps" "$(dry $small run="a b" train.env_steps=400)"
    check a_finished_one_too "a b is finished: 200 env-steps reach train.env_steps=200; raise it to go on" "$(dry $small run="a b" train.env_steps=200)"
    check programs_read_json '{"run":"a b","state":"continues","env_steps":200}' "$(dry $small run="a b" train.env_steps=400 --json)"
    check quiet_says_nothing "" "$(dry $small run="a b" train.env_steps=400 --quiet)"
    check fresh_would_begin_anew "settings are valid; a new run in a b" "$(dry $small run="a b" --fresh)"
}
check options_are_of_the_run_s_environment "settings are valid; continues tag at 200 env-steps" "$(dry run=tag env.num_good=2 train.env_steps=400)"
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
check networks_that_fit_are_taken "settings are valid; a new run in c" "$(dry train.init="a b/latest.h5" run=c)"
check "a_gpu_is_not_needed" 0 "$(dry backend=cuda seed=3 >/dev/null && echo 0)"
check "nothing_was_touched" "$before" "$(listing)"
# A damaged newer checkpoint: a start would set it aside.
head -c 1000 "a b/step-000000000200.h5" >"a b/step-000000000300.h5"
before=$(listing)
# shellcheck disable=SC2086
check damage_is_said_and_left_where_it_is "1 1 $before" "$(dry $small run="a b" train.env_steps=400 >"$work.out" && grep -c 'falling back to' "$work.out") $(grep -c 'continues a b at 200' "$work.out") $(listing)"
rm -f "$work.out"
exit $failed
