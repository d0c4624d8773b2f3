#!/usr/bin/env bash
# Mistakes on the command line and in configuration files: each gives one line that names what to write instead, exit code 2 (or the one
# said), nothing on standard output, and touches no file. The same under mpirun: one rank prints, once.
# timeout: 170
# shellcheck disable=SC2088 # a ~ in quotes is what is tested
set -u
MAPPO=${MAPPO:-build/mappo}
MAPPO=$(cd "$(dirname "$MAPPO")" && pwd)/$(basename "$MAPPO")
WORK=$(mktemp -d)
trap 'chmod -R u+w "$WORK" 2>/dev/null; rm -rf "$WORK"' EXIT
mkdir "$WORK/here" "$WORK/here/folder"
cd "$WORK/here" || exit 1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1 NO_COLOR=1
failed=0

# The files that the cases read.
printf '[ppo]\nclip = 0.1\ncliprange = 0.2\n' >unknown.ini
printf '[ppo]\nepochs = 5e9\n' >range.ini
printf 'rollout.envs = many\n' >type.ini
printf '[ppo\nclip = 0.1\n' >broken.ini
printf '[train]\ninit = %0300d\n' 0 >long.ini
printf 'seed = 3\0\n' >zero.ini
printf '\x89HDF\r\n\x1a\n' >binary.ini
printf '\xff\xfes\0e\0' >utf16.ini
printf '[ppo]\nclip = 0.1\nclip = 0.2\n' >twice.ini
printf 'run.dir = runs/a # mine\n' >hash.ini
printf 'env = mpe/simple_spraed\n' >env.ini
printf '[env]\nname = mpe/simple_spread\nn = 3\n' >option.ini
printf 'seed = 3\n' >secret.ini
printf 'text\n' >file.h5
: >mine.so
"$MAPPO" run=sink env=test/kitchen_sink rollout.envs=2 rollout.steps=5 policy.hidden=16 eval.env_steps=0 train.env_steps=10 --quiet >"$WORK/out" 2>&1 || cat "$WORK/out"
listing() { find . -printf '%p %i %m %s %T@\n' | sort; }
LISTING=$(listing)

report() { # name problem
    if [ -z "$2" ]; then echo "ok - $1"; else echo "not ok - $1: $2" && failed=1; fi
}

# name code expected-text [-n RANKS] argument …
bad() {
    local name=$1 code=$2 text=$3 got problem="" launch=()
    shift 3
    if [ "$1" = -n ]; then launch=("${RUN[@]}" -n "$2") && shift 2; fi
    timeout 60 "${launch[@]}" "$MAPPO" "$@" >"$WORK/out" 2>"$WORK/err" </dev/null
    got=$?
    # A launcher may add lines of its own about the exit code; ours begin with the program's name.
    local lines
    if [ ${#launch[@]} = 0 ]; then lines=$(wc -l <"$WORK/err"); else lines=$(grep -c '^mappo: ' "$WORK/err"); fi
    [ $got = "$code" ] || problem="exit code $got, expected $code; "
    [ "$lines" = 1 ] || problem+="$lines lines of error, expected 1; "
    grep -q '^mappo: ' "$WORK/err" || problem+="no line of mappo; "
    grep -qF -- "$text" "$WORK/err" || problem+="\"$(head -c 400 "$WORK/err")\" doesn't say \"$text\"; "
    [ ${#launch[@]} = 0 ] && [ -s "$WORK/out" ] && problem+="standard output holds \"$(head -c 200 "$WORK/out")\"; "
    [ "$(listing)" = "$LISTING" ] || problem+="files were touched: $(find . -newer "$WORK/listing" | tr '\n' ' ')"
    report "$name" "$problem"
}
touch "$WORK/listing"

# ---- keys and commands ----
bad unknown_key_names_nearest 2 'unknown key "ppo.cliprange" on the command line; did you mean "ppo.clip"? (mappo train --help ppo lists the section)' ppo.cliprange=0.1
bad key_without_section_names_it 2 'did you mean "adam.lr"?' lr=1e-3
bad name_of_the_reference_is_translated 2 'did you mean "rollout.envs"?' n_rollout_threads=128
bad name_of_pufferlib_is_translated_where_its_section_is_ours 2 'did you mean "rollout.steps"?' train.bptt_horizon=64
bad setting_with_dashes_is_explained 2 'settings are written without dashes: seed=3' --seed=3
bad setting_without_value_is_explained 2 '"seed" is a setting and needs a value: seed=3' train seed 3
bad setting_in_place_of_a_command_is_explained 2 '"ppo.clip" is a setting and needs a value' ppo.clip
bad setting_without_key_is_refused 2 'has no key before the =' =3
bad unknown_command_names_nearest 2 'unknown command "trian"; did you mean "train"?' trian
bad unknown_command_without_a_neighbour 2 'unknown command "qwxyz" (mappo --help lists them)' qwxyz
bad unknown_option_names_nearest 2 'did you mean "--json"?' --jsn
bad option_without_dashes_is_explained 2 '"json" on the command line is no setting but an option of the command line: --json' json=1
bad option_with_another_dash_too 2 'is no setting but an option of the command line: --dry-run' dry_run=1
bad file_of_settings_without_dashes 2 'is no setting but an option of the command line: --config secret.ini' config=secret.ini
bad option_for_another_command_without_dashes 2 'is no setting but an option of the command line: --quiet' eval sink quiet=1
bad number_missing_in_a_list_is_named 2 'policy.hidden=64,,32 on the command line lacks a number beside one of its commas: write whole numbers with commas between, as 64,32' policy.hidden=64,,32
bad number_missing_at_the_end_of_a_list_too 2 'policy.hidden=64, on the command line lacks a number' policy.hidden=64,
bad number_of_a_list_is_named 2 'policy.hidden=64,a on the command line: a is not a whole number (1 .. 4096)' policy.hidden=64,a
bad number_of_a_list_out_of_range_is_named 2 'policy.hidden=64,0 on the command line: 0 is out of range 1 .. 4096' policy.hidden=64,0
bad no_advice_sets_a_run_aside 2 'unknown option "--fressh"; settings are written key=value' --fressh
bad value_as_the_next_word_is_taken_along 2 'did you mean adam.lr=1e-3?' train --lr 1e-3
bad dash_of_a_word_processor_is_a_dash 2 'did you mean the setting adam.lr=1e-3?' —lr 1e-3
bad word_without_equals_is_explained 2 'what is "lr"? Settings are written key=value; did you mean adam.lr=1e-3?' train lr 1e-3
bad blanks_around_equals_are_explained 2 'write key=value without blanks' seed = 3
bad value_behind_a_blank_is_explained 2 'write seed=3 without a blank' seed= 3
bad option_of_the_environment_is_found 2 'unknown key "N" on the command line; did you mean "env.N"? (env.N=5; mappo envs mpe/simple_spread lists them)' env=simple_spread N=5
bad option_of_the_environment_is_found_by_envs 2 'did you mean "env.N"?' envs simple_spread N=5
bad advice_is_for_the_command_at_hand 2 "unknown key \"lr\" on the command line, and mappo eval doesn't look at adam.lr" eval none lr=3
bad command_of_another_program_is_translated 2 'unknown command "evaluate"; did you mean "eval"?' evaluate run
bad command_to_resume_is_translated 2 'did you mean "train"?' resume
bad file_of_settings_in_place_of_a_command 2 '"unknown.ini" is no command: mappo --config unknown.ini reads settings from it' unknown.ini
bad folder_in_place_of_a_command 2 'mappo run=folder trains in it' folder
bad environment_in_place_of_a_command 2 '"simple_spread" is no command: mappo env=simple_spread trains in that environment' simple_spread
bad flag_with_a_value_is_refused 2 '--json takes no value' eval none --json=1
bad option_of_another_command_is_refused 2 'mappo train takes no --check' train --check
bad settings_where_none_are_taken 2 'mappo inspect takes no settings' inspect file.h5 seed=3
bad setting_that_a_command_ignores_is_refused 2 "mappo eval doesn't look at ppo.clip" eval none ppo.clip=0.1
bad setting_of_another_command_names_its_own 2 'did you mean "eval.seed"?' eval none seed=3
bad no_setting_that_it_ignores_is_advised 2 "mappo eval doesn't look at train.env_steps: mappo train does (mappo train --help)" eval none train.env_steps=3
bad settings_of_evaluations_while_training_are_not_evals 2 "mappo eval doesn't look at eval.interval" eval none eval.interval=3
bad settings_of_training_alone_are_not_evals 2 "mappo eval doesn't look at comm.shards" eval none comm.shards=4
bad device_of_an_evaluation_can_be_named 4 "none: no such run or checkpoint" eval none cuda.device=0
bad player_of_an_evaluation_is_not_trainings 2 "mappo train doesn't look at eval.play: mappo eval does (mappo eval --help)" play=random
bad picture_is_not_the_benchmarks 2 "mappo bench doesn't look at eval.picture" bench picture=a.svg
bad what_cannot_be_measured_alone_is_refused 2 "only=envs: what mappo bench can measure alone is env" bench only=envs
bad folder_of_a_run_is_not_the_benchmarks 2 "mappo bench doesn't look at run.dir" bench run=a
bad option_of_no_environment_is_refused 2 "mappo envs lists the environments; env.N=5 is for one of them: mappo envs ENV env.N=5" envs env.N=5
bad file_for_no_environment_is_refused 2 "mappo envs ENV --config secret.ini" envs --config secret.ini
bad environment_is_an_operand_of_envs 2 "mappo envs takes the environment without env=: mappo envs simple_spread" envs env=simple_spread
bad two_environments_are_refused 2 "mappo envs takes the environment without env.name=: mappo envs simple_spread" envs simple_spread env.name=test/busy
bad run_is_an_operand_of_eval 2 "mappo eval takes the run without run=: mappo eval sink" eval run=sink
bad run_is_an_operand_of_inspect 2 "mappo inspect takes the run without run=: mappo inspect sink" inspect run=sink
bad missing_operand_is_named 2 'mappo eval needs RUN|FILE' eval
bad superfluous_operand_is_named 2 'what is "b"?' eval a b
bad unknown_help_section_names_nearest 2 'no help on "ppoo"; did you mean "ppo"?' --help ppoo
bad unknown_help_topic_names_the_command 2 'no help on "evla"; did you mean "eval"?' help evla
bad unknown_help_topic_names_the_setting 2 'no help on "lr"; did you mean "adam.lr"?' help lr
bad help_on_an_option_of_an_environment_is_elsewhere 2 'no help on "env.N": mappo envs ENV explains the options of an environment' help env.N
bad superfluous_help_topic_is_named 2 'mappo help: what is "eval"?' help train eval
bad superfluous_operand_of_version 2 'mappo version: what is "me"?' version me
bad unknown_page_is_refused 2 'no page "config"' docs config

# ---- values ----
bad out_of_range_names_the_range 2 'ppo.clip=7 on the command line is out of range 0 .. 1' ppo.clip=7
bad negative_count_is_out_of_range 2 'rollout.envs=-1 on the command line is out of range 1 .. 1e7' rollout.envs=-1
bad zero_environments_are_out_of_range 2 'rollout.envs=0' rollout.envs=0
bad more_than_64_bits_is_out_of_range 2 'is out of range' train.env_steps=99999999999999999999
bad word_for_a_number_is_refused 2 'rollout.envs=many on the command line is not a whole number' rollout.envs=many
bad suffix_is_told_how_to_write 2 'write 20e6' train.env_steps=20M
bad fraction_for_a_count_is_refused 2 'is not a whole number' ppo.epochs=2.5
bad nan_is_no_number 2 'is not a number' adam.lr=nan
bad empty_number_is_refused 2 'is not a whole number' seed=
bad agents_in_turn_share_no_actor 2 'policy.share=true gives them one: leave it out' algo=happo policy.share=true
bad what_is_no_image_is_not_convolved 2 'policy.conv convolves one image, height x width x channels, and what group "agent" observes is 18 numbers: policy.conv=none' policy.conv=32
bad nor_is_an_image_that_a_wrapper_cuts 2 'what group "agent" observes is 519 numbers: policy.conv=none' env=overcooked/cramped_room policy.conv=32 wrap.hide_obs=0
bad an_image_does_not_shrink_to_nothing 2 'convolution 2: policy.conv_padding=same keeps its size' env=overcooked/cramped_room policy.conv=4,4 policy.conv_padding=valid
bad images_are_not_normalised 2 'images are convolved as they are: policy.feature_norm=off' env=overcooked/cramped_room policy.conv=32 policy.feature_norm=on
bad kernels_without_a_convolution_are_refused 2 'policy.conv_kernel has 3 numbers for 2 convolutions (policy.conv)' env=overcooked/cramped_room policy.conv=32,32 policy.conv_kernel=5,3,3
bad convolutions_and_none_are_not_both 2 'policy.conv=32,none on the command line: none stands alone, without numbers' policy.conv=32,none
bad critics_of_actions_are_not_convolved 2 'policy.conv=none' env=overcooked/cramped_room policy.conv=32 algo=maddpg
bad nor_are_their_advantages_normalised_twice 2 'ppo.normalise_advantage=rollout or none' algo=happo ppo.normalise_advantage=minibatch
bad whole_episodes_have_a_longest 2 'wrap.time_limit=N truncates episodes after N steps' rollout.unit=episodes env=rware/tiny-2ag env.max_steps=0
bad episodes_are_no_constant_number_of_minibatches 2 'choose their number, ppo.minibatches' rollout.unit=episodes ppo.minibatch_size=128
bad word_for_a_truth_value_is_refused 2 'is neither true nor false' policy.layer_norm=maybe
bad unknown_choice_names_them_all 2 'policy.activation=sigmoid on the command line is none of relu, tanh' policy.activation=sigmoid
bad decimal_comma_becomes_a_point 2 'adam.lr=0,001 on the command line is not a number: write 0.001' adam.lr=0,001
bad comma_of_two_meanings_is_not_guessed 2 'is not a number: a decimal point is written as a point, thousands without a mark' adam.lr=1,000
bad point_of_two_meanings_is_not_guessed 2 'is not a whole number: a decimal point is written as a point, thousands without a mark' train.env_steps=1.000
bad small_number_is_not_silently_off 2 'too small to be told from 0 (0 = off): write 0, or a number of at least 1.2e-38' ppo.max_grad_norm=1e-300
bad small_deviation_is_not_silently_learned 2 'too small to be told from 0 (0 = learned)' policy.fixed_std=1e-50
bad constant_deviation_needs_its_number 2 'policy.std=fixed needs the deviation: policy.fixed_std=0.5, say' policy.std=fixed
bad deviation_is_learned_or_constant 2 'policy.std=state is a learned deviation, policy.fixed_std=0.5 a constant one: leave out one of them' policy.std=state policy.fixed_std=0.5
bad nor_is_one_of_all_states_constant 2 'policy.std=shared is a learned deviation' policy.fixed_std=0.5 policy.std=shared
bad deviation_by_state_begins_within_its_bounds 2 'policy.log_std=3: with policy.std=state log deviations end at 2: write at most that' policy.std=state policy.log_std=3
bad quotes_around_a_value_are_named 2 'values stand without quotes: write 7e-4' 'adam.lr="7e-4"'
bad variable_that_no_shell_replaced_is_refused 2 'run=$SCRATCH/a on the command line: variables are replaced by a shell only' 'run=$SCRATCH/a'
bad unknown_user_is_named 2 'there is no user "nobody-of-this-name"' 'run=~nobody-of-this-name/a'
bad value_that_an_ini_cannot_hold_is_refused 2 "can't be kept in a configuration file" 'train.init=a ;b'
bad more_memory_than_there_is 2 'lower rollout.envs or rollout.steps' rollout.envs=1e4 rollout.steps=1e6
bad more_minibatches_than_units 2 'ppo.minibatches=1000000' ppo.minibatches=1e6
bad shards_that_do_not_divide 2 'comm.shards=7' comm.reproducible=1 comm.shards=7
mapfile -t many < <(seq -f 'seed=%g' 300)
bad too_many_settings_are_refused 2 'more than 256 settings on the command line' "${many[@]}"

# ---- files ----
bad missing_ini_is_named 2 'cannot read the configuration file none.ini: No such file or directory' --config none.ini
bad folder_for_an_ini_is_refused 2 'cannot read the configuration file folder: Is a directory' --config folder
bad ini_without_a_name_is_refused 2 '--config needs a file' --config
bad unknown_key_in_an_ini_names_file_and_line 2 'unknown key "ppo.cliprange" in unknown.ini, line 3; did you mean "ppo.clip"?' --config unknown.ini
bad range_in_an_ini_names_file_and_line 2 'ppo.epochs=5e9 in range.ini, line 2 is out of range 1 .. 1000' --config range.ini
bad type_in_an_ini_names_file_and_line 2 'rollout.envs=many in type.ini, line 1 is not a whole number' --config type.ini
bad broken_line_in_an_ini_is_named 2 'broken.ini, line 1 is neither [section], key = value nor a comment' --config broken.ini
bad long_line_in_an_ini_is_named 2 'long.ini, line 2 has 307 bytes' --config long.ini
bad zero_bytes_in_an_ini_are_refused 2 'zero.ini, line 1 holds zero bytes' --config zero.ini
bad checkpoint_for_an_ini_is_refused 2 'binary.ini is a checkpoint, no configuration file: mappo eval binary.ini plays it' --config binary.ini
bad utf16_for_an_ini_is_refused 2 'utf16.ini is written in UTF-16: save it as UTF-8' --config utf16.ini
bad value_given_twice_is_refused 2 'twice.ini, line 3 gives ppo.clip another value than line 2 does (0.1)' --config twice.ini
bad hash_behind_a_value_is_refused 2 'hash.ini, line 1 holds "# mine": a comment behind a value begins with " ;"' --config hash.ini
HOME=/no-home bad tilde_of_a_file_is_home 2 'cannot read the configuration file /no-home/a.ini' '--config=~/a.ini'
bad second_file_is_looked_at_too 2 'range.ini, line 2' --config secret.ini --config range.ini
if [ "$(id -u)" = 0 ] && ! command -v setpriv >/dev/null; then
    echo "ok - unreadable_ini_is_named # SKIP root reads everything, and setpriv isn't there"
else
    chmod 000 secret.ini
    LISTING=$(listing)
    if [ "$(id -u)" = 0 ]; then
        chmod 755 "$WORK"
        timeout 60 setpriv --reuid 65534 --regid 65534 --clear-groups "$MAPPO" --config secret.ini >"$WORK/out" 2>"$WORK/err"
    else
        timeout 60 "$MAPPO" --config secret.ini >"$WORK/out" 2>"$WORK/err"
    fi
    report unreadable_ini_is_named "$([ $? = 2 ] && grep -q 'cannot read the configuration file secret.ini: Permission denied' "$WORK/err" || head -c 300 "$WORK/err")"
fi

# ---- environments, presets, runs ----
bad unknown_variant_names_nearest 2 'unknown environment "test/imortal"; did you mean "test/immortal"?' env=test/imortal
bad option_of_no_variant 2 'environment "test/kitchen_sink" has no option "N" (env.N on the command line' env=test/single env.N=2
bad range_of_an_option_beside_a_variant 2 'environment "test/kitchen_sink": option longest=0 is out of range 1..1000000' env=test/single env.longest=0
bad unknown_environment_names_nearest 2 'unknown environment "mpe/simple_spred"; did you mean "mpe/simple_spread"?' env=mpe/simple_spred
bad unknown_environment_of_an_ini_names_nearest 2 'did you mean "mpe/simple_spread"?' --config env.ini
bad words_of_an_environment_name_it 2 'unknown environment "mpe/spread"; did you mean "mpe/simple_spread"?' env=mpe/spread
bad an_option_of_two_meanings_names_both 2 'did you mean "env.max_num_food" or "env.max_food_level"? (mappo envs' env=lbf/8x8-2p-3f env.max_food=2
bad other_suites_words_are_understood 2 'did you mean "env.max_cycles"?' env.max_episode_steps=9
bad and_their_agents 2 'did you mean "env.players"?' env=lbf/8x8-2p-3f env.num_agents=2
bad what_is_not_near_is_not_named 2 '(env.num_prey on the command line; mappo envs' env=mpe/simple_tag env.num_prey=2
bad a_plugin_beside_is_named 2 'unknown environment "mine.so"; did you mean "./mine.so"?' env=mine.so
bad a_plugin_that_is_none_says_so 3 'mine.so: it is no shared library; docs/env-abi.md' env=./mine.so
bad missing_plugin_is_named 2 'none.so: No such file or directory' env=./none.so
bad unknown_option_names_nearest 2 'has no option "n" (env.n on the command line); did you mean "env.N"?' env.n=3
bad unknown_option_of_an_ini_names_nearest 2 'did you mean "env.N"?' --config option.ini
bad option_out_of_range_is_named 2 'option N=0 is out of range' env.N=0
bad option_of_wrong_type_is_named 2 'option N=abc' env.N=abc
bad unknown_rules_name_those_there_are 2 'option rules=upstream is not one of mpe2, on-policy' env.rules=upstream
bad unknown_preset_names_nearest 2 'unknown preset "onpolicy"; did you mean "on-policy"?' preset=onpolicy
bad preset_of_another_kind_of_learner_is_refused 2 'preset=sb3 is of algorithms that learn from rollouts, and algo=maddpg learns from a replay' preset=sb3 algo=maddpg
bad preset_of_a_replay_is_refused_elsewhere 2 'preset=maddpg-notes is of algorithms that learn from a replay, and algo=mappo learns' preset=maddpg-notes algo=mappo
bad replay_beyond_memory_says_what_would_fit 2 'of its 1000000000000 steps would fit' algo=maddpg maddpg.buffer=1e12
bad replay_of_less_than_a_rollout_says_how_much 2 'maddpg.buffer=400 or more' algo=maddpg maddpg.buffer=20
bad another_programs_algorithm_is_translated 2 'here that is algo=ddpg maddpg.twin=1' algo=td3
bad an_algorithm_that_is_not_here_has_its_nearest 2 'nearest to it here is algo=ddpg maddpg.actor=gaussian maddpg.twin=1' algo=sac
bad convolutions_are_a_policy_elsewhere 2 'here that is policy.conv=32,32,32' policy=cnn
bad a_wrapper_that_takes_images_away_is_named 2 'or without wrap.stack_obs, behind which no image is one' env=overcooked/cramped_room policy.conv=8 wrap.stack_obs=2
bad another_programs_policy_is_translated 2 'here that is policy=gru' policy=lstm
bad run_folder_that_cannot_be_made_is_named 2 "file.h5" run=file.h5/run
bad missing_networks_are_named 4 'none.h5' train.init=none.h5
HOME=/no-home bad tilde_of_networks_is_home 4 '/no-home/none.h5: no such run' 'train.init=~/none.h5'
HOME=/no-home bad tilde_of_a_plugin_is_home 2 'environment plugin /no-home/none.so' 'env=~/none.so'
HOME=/no-home bad tilde_of_a_run_is_home 4 '/no-home/run: no such run' eval '~/run'
bad missing_run_is_named 4 'none: no such run' eval none
bad unknown_help_topic_names_the_preset 2 'no help on "handson"; did you mean "hands-on-rl"?' help handson
bad value_in_place_of_a_help_topic_is_told 2 'no help on "gru": it is a value of policy.kind (mappo help policy.kind)' help gru
bad help_of_an_unknown_environment_names_nearest 2 'did you mean "mpe/simple_spread"?' envs mpe/simple_spred

# ---- environments that break their word end evaluations as they end training (tests/unit/test_algo_rollout.c) ----
evaluation_ends() { # NAME CODE FAULT PATTERN
    timeout 60 "$MAPPO" eval sink episodes=4 env.fault_env=2 env.fault_step=3 env.mortal=0 env.fault="$3" >"$WORK/out" 2>"$WORK/err"
    report "evaluation_ends_where_$1" "$([ $? = "$2" ] && grep -q "^mappo: environment \"test/kitchen_sink\": number 2: $4 of an evaluation\$" "$WORK/err" || head -c 400 "$WORK/err")"
}
evaluation_ends a_mask_leaves_nothing 3 no_choice 'the mask of agent 2 of group "runner", .*, after step 3'
evaluation_ends a_reward_is_not_shared 3 unshared_reward 'the reward of agent 1 of group "watcher" .*, after step 3'
evaluation_ends an_episode_does_not 3 endless 'its episode goes on beyond max_steps = 12 of its spec, after step 11'
evaluation_ends a_number_is_none 6 inf_reward 'reward of agent 0 of group "runner" is infinite, after step 3'
MAPPO_EXIT_FILE=none/exit bad unwritable_exit_file_is_known_before_the_work 2 "MAPPO_EXIT_FILE: none/exit: can't be written: none: No such file" train
MAPPO_EXIT_FILE=folder bad folder_for_an_exit_file_is_refused 2 "MAPPO_EXIT_FILE: folder: can't be written: Is a directory" train

# ---- what is not a mistake ----
for page in help 'help ppo' 'help eval' 'help exit-codes' '--help exit-codes' 'help all' 'help --help' 'version --help' version --help '--help all' '--help ppo' '--help seed' 'help sb3' 'help hands-on-rl' 'help on-policy' '--help maddpg-hands-on' 'help maddpg' 'train --help' 'eval --help' 'inspect --help' 'runs --help' 'watch --help' 'envs --help' 'bench --help' 'doctor --help' 'docs --help' --version 'docs configuration'; do
    timeout 60 "$MAPPO" $page >"$WORK/out" 2>"$WORK/err"
    code=$? problem=""
    [ $code = 0 ] || problem="exit code $code; "
    [ -s "$WORK/err" ] && problem+="$(head -c 200 "$WORK/err"); "
    [ "$(wc -l <"$WORK/out")" -ge 5 ] || problem+="only $(wc -l <"$WORK/out") lines; "
    [ "$page" != 'docs configuration' ] && awk '{ gsub(/[^ -~]/, "") } length > 100 { exit 1 }' "$WORK/out" || [ "$page" = 'docs configuration' ] || problem+="a line is longer than 100 columns; "
    [ "$(listing)" = "$LISTING" ] || problem+="files were touched"
    report "page_$(tr -cs 'a-z\n' _ <<<"${page//-/}")" "$problem"
done
timeout 60 "$MAPPO" --help >/dev/full 2>"$WORK/err"
report full_standard_output_is_an_error "$([ $? = 1 ] && grep -q 'cannot write to standard output' "$WORK/err" || echo "not noticed")"

# ---- several ranks ----
library=$("$MAPPO" --version | sed -n 's/^MPI *//p')
case $library in
"Open MPI"*) RUN=("$(command -v mpirun.openmpi || echo mpirun)" --quiet --oversubscribe --bind-to none) ;;
MPICH*) RUN=("$(command -v mpirun.mpich || echo mpirun)") ;;
none) RUN=() ;;
*) RUN=(mpirun) ;;
esac
if [ ${#RUN[@]} = 0 ] || ! command -v "${RUN[0]}" >/dev/null; then
    echo "ok - ranks_print_once # SKIP no mpirun for MPI \"$library\""
else
    bad ranks_print_an_unknown_key_once 2 'did you mean "ppo.clip"?' -n 2 ppo.cliprange=0.1
    bad ranks_print_an_unknown_command_once 2 'did you mean "train"?' -n 2 trian
    bad ranks_print_a_missing_ini_once 2 'cannot read the configuration file none.ini' -n 2 --config none.ini
    bad ranks_print_an_unknown_environment_once 2 'did you mean "mpe/simple_spread"?' -n 2 env=mpe/simple_spred
    bad ranks_print_a_wrong_option_once 2 'option N=0 is out of range' -n 2 env.N=0
    bad more_ranks_than_environments_names_the_key 2 'rollout.envs' -n 2 rollout.envs=1
    bad minibatches_that_ranks_cannot_share_are_refused 2 'takes an equal part of every shard or rank' -n 2 rollout.envs=5 ppo.minibatch_size=10
    bad ranks_that_do_not_divide_the_shards_name_the_key 2 'comm.shards' -n 2 comm.reproducible=1 comm.shards=1
    bad ranks_print_an_unmakeable_run_folder_once 2 "file.h5" -n 2 run=file.h5/run
    timeout 60 "${RUN[@]}" -n 2 "$MAPPO" --help ppo >"$WORK/out" 2>"$WORK/err"
    report ranks_print_help_once "$([ $? = 0 ] && [ "$(grep -c '^ *ppo\.clip  ' "$WORK/out")" = 1 ] || echo "printed $(grep -c '^ *ppo\.clip  ' "$WORK/out") times")"
fi
exit $failed
