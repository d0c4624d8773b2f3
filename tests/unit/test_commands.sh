#!/usr/bin/env bash
# What the commands print for people and scripts: eval's table and JSON, pictures, help, version, the lines at a start.
# timeout: 170
# shellcheck disable=SC2088 # a ~ in quotes is what is tested
set -u
. "$(dirname "$0")/../tap.sh"
MAPPO=$(cd "$(dirname "${MAPPO:-build/mappo}")" && pwd)/$(basename "${MAPPO:-build/mappo}")
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
cd "$WORK" || exit 1

short=(rollout.envs=4 rollout.steps=25 train.env_steps=100 threads=1)

# ---- the lines at a start ----
text=$("$MAPPO" "${short[@]}" run=plain eval.env_steps=0)
is only_the_environment_is_named_where_all_options_are_defaults "mappo on mpe/simple_spread" "$(sed -n 2p <<<"$text")"
text=$("$MAPPO" "${short[@]}" run=other eval.env_steps=0 env.num_agent_neighbors=2 env.rules=mpe2 env.N=5)
is options_that_are_no_defaults_stand_at_the_start "mappo on mpe/simple_spread, N=5 num_agent_neighbors=2" "$(sed -n 2p <<<"$text")"
has all_options_stand_in_config_ini "local_ratio = 0.5" "$(cat other/config.ini)"

# ---- variants: names for an environment with options ----
tiny=("${short[@]}" eval.env_steps=0)
text=$("$MAPPO" "${tiny[@]}" run=variant env=test/single)
is a_variant_is_named_with_what_it_is "mappo on test/single (test/kitchen_sink, scene=single longest=8)" "$(sed -n 2p <<<"$text")"
has config_ini_names_the_variant "# with these options the variant test/single" "$(cat variant/config.ini)"
has config_ini_holds_its_environment "name = test/kitchen_sink" "$(cat variant/config.ini)"
has config_ini_holds_its_options "longest = 8" "$(cat variant/config.ini)"
text=$("$MAPPO" "${tiny[@]}" run=variant env=test/kitchen_sink env.longest=8 env.scene=single train.env_steps=200)
has a_run_of_a_variant_goes_on_under_its_options "continuing variant at update 1" "$text"
has and_is_still_the_variant "mappo on test/single (" "$text"
"$MAPPO" "${tiny[@]}" --quiet run=written env=test/kitchen_sink env.longest=8 env.scene=single >/dev/null
has a_run_of_options_goes_on_under_the_variants_name "continuing written at update 1" "$("$MAPPO" "${tiny[@]}" run=written env=single_sink-v0 train.env_steps=200)"
same() { "$MAPPO" inspect variant written | grep -c '^  /'; }
is both_are_the_same_run 0 "$(same)"
text=$("$MAPPO" "${tiny[@]}" run=replaced env=test/single env.longest=07)
is what_replaces_an_option_of_a_variant_is_said "mappo on test/kitchen_sink, scene=single longest=7: test/single with env.longest=7 instead of 8" "$(sed -n 2p <<<"$text")"
text=$("$MAPPO" "${tiny[@]}" run=variant env=test/immortal 2>&1)
has another_variant_is_another_run "env.mortal (now 0 of the variant, before 1)" "$text"
text=$("$MAPPO" eval variant episodes=2)
has evaluation_names_the_variant "test/single (test/kitchen_sink, scene=single longest=8)" "$text"
text=$("$MAPPO" eval variant episodes=2 env=test/single env.longest=9 2>&1)
has evaluation_of_a_variant_takes_what_replaces_its_options "scene=single longest=9: test/single with env.longest=9 instead of 8" "$text"
has evaluation_of_another_variant_has_its_options "trained with env.longest=8 (here 12), env.mortal=1 (here 0), env.scene=single (here two_teams)" \
    "$("$MAPPO" eval variant episodes=2 env=test/immortal env.scene=two_teams env.longest=12 2>&1)"
"$MAPPO" --quiet run=pair env=test/pair rollout.steps=5 train.env_steps=80 threads=1 eval.env_steps=0 >/dev/null
has a_variant_has_its_own_preset "the environment's preset: environments of all ranks together envs = 16" "$(tr '\n' ' ' <pair/config.ini)"
has and_that_of_its_environment "critic_lr = 0.0007" "$(cat pair/config.ini)"
"$MAPPO" --quiet run=game env=matrix/penalty rollout.steps=5 train.env_steps=160 threads=1 eval.env_steps=0 >/dev/null
is a_suite_has_a_preset_for_all_its_environments "share = false" "$(grep '^share = false' game/config.ini)"
text=$("$MAPPO" envs test/single)
has a_described_variant_is_shown_with_its_options "shown     test/single (test/kitchen_sink, scene=single longest=8)" "$text"
has with_those_of_its_environment "test/immortal            mortal=0" "$text"
has and_their_other_names "also sink_single, single_sink-v0" "$text"
lacks an_environment_alone_is_no_variant "shown" "$("$MAPPO" envs test/kitchen_sink)"
lacks hidden_variants_are_not_shown_with_what_is_listed "test/pair" "$("$MAPPO" envs mpe/simple_spread)"
has json_of_a_variant "\"variant\": \"test/single\"" "$("$MAPPO" envs sink_single --json)"
has json_lists_variants '{"id": "test/single", "aliases": ["sink_single", "single_sink-v0"], "options": {"scene": "single", "longest": "8"}}' "$("$MAPPO" envs test/kitchen_sink --json)"
has a_word_that_is_a_variant_is_known "mappo env=test/single trains in that environment" "$("$MAPPO" test/single 2>&1)"

# ---- of two values the last counts, with a message ----
repeated() { "$MAPPO" --dry-run run=new "$@" 2>&1 | grep -v -e 'settings are valid' -e '^memory: '; }
is a_value_given_twice_is_told "mappo: seed=1 is replaced by train.seed=2, which follows it on the command line" "$(repeated seed=1 train.seed=2)"
is so_is_an_option_of_the_environment "mappo: env.N=3 is replaced by env.N=4, which follows it on the command line" "$(repeated env.N=3 seed=5 env.N=4)"
is the_same_value_twice_needs_no_word "" "$(repeated seed=2 train.seed=2 ppo.clip=0.1)"

# ---- settings that change nothing beside the others are named, once each ----
idle() { # name key argument …
    local name=$1 key=$2
    shift 2
    text=$("$MAPPO" "${short[@]}" --fresh --quiet run=idle eval.env_steps=0 "$@" 2>&1)
    is "$name" "1 1 $key" "$(grep -c 'has no effect here' <<<"$text") $(sed -n "s/^mappo: \([a-z_.]*\) has no effect here: .*/1 \1/p" <<<"$text")"
}
idle horizon_of_constant_rates_has_no_effect adam.schedule_steps adam.schedule_steps=5e6
idle a_penalty_has_none_where_ratios_are_clipped ppo.kl_target ppo.kl_target=0.1
idle nor_has_an_order_of_agents happo.order happo.order=fixed
idle nor_have_keys_of_another_algorithm coppo.others_clip coppo.others_clip=0.2
idle nor_has_clipping_where_all_is_penalised ppo.clip ppo.objective=kl ppo.clip_value=off ppo.clip=0.1
idle nor_has_a_number_of_minibatches_beside_their_size ppo.minibatches ppo.minibatch_size=10 ppo.minibatches=2
idle nor_have_chunks_where_nothing_is_recurrent ppo.chunk ppo.chunk=5
idle shards_have_none_when_sums_are_not_reproducible comm.shards comm.shards=4
idle state_of_an_own_critic_has_none critic.state algo=ippo critic.state=concat
idle number_of_an_agent_has_none_there critic.agent_id algo=ippo critic.agent_id=1
idle decay_of_no_normaliser_has_none norm.beta norm.value=none norm.beta=0.9
idle deviation_of_choices_has_none policy.fixed_std policy.fixed_std=0.5
idle nor_has_one_by_state policy.std policy.std=state
idle bounds_of_choices_have_none wrap.rescale_action wrap.rescale_action=1
idle first_deviation_has_none_beside_a_constant_one policy.log_std env.continuous_actions=1 policy.fixed_std=0.5 policy.log_std=1
replays=(algo=maddpg maddpg.start=0 maddpg.batch=8 replay.save=0)
idle weights_of_steps_that_are_drawn_alike_have_none replay.beta "${replays[@]}" replay.beta=0.5
idle nor_have_priorities_where_nothing_is_replayed replay.priority algo=mappo replay.priority=0.5
idle noise_beside_actors_that_draw_has_none maddpg.noise "${replays[@]}" env.continuous_actions=1 maddpg.actor=gaussian maddpg.noise=0.2
idle real_actions_of_choices_have_no_kind maddpg.actor "${replays[@]}" maddpg.actor=gaussian
idle steps_drawn_by_priority_are_drawn_more_than_once maddpg.draw "${replays[@]}" replay.priority=0.5 maddpg.draw=without
idle deterministic_actors_have_no_deviation policy.std algo=maddpg env.continuous_actions=1 policy.std=state maddpg.start=0
printf '[adam]\nschedule_steps = 5e6\n' >idle.ini
idle what_a_file_asks_for_counts_as_well adam.schedule_steps --config idle.ini
lacks what_has_an_effect_is_not_named "no effect" "$("$MAPPO" "${short[@]}" --fresh --quiet run=idle eval.env_steps=0 env.continuous_actions=1 policy.std=fixed policy.fixed_std=0.5 \
    wrap.rescale_action=1 comm.reproducible=1 comm.shards=4 adam.schedule=linear adam.schedule_steps=5e6 norm.beta=0.9 critic.agent_id=1 2>&1)"
lacks and_nothing_of_a_run_that_is_loaded "no effect" "$("$MAPPO" --quiet run=again --config plain/config.ini 2>&1)"

# ---- the line of progress in a terminal too narrow for it ----
columns() { # columns argument …: what a terminal shows, a line each time it is drawn
    python3 - "$MAPPO" "$@" <<'END'
import fcntl, os, pty, struct, sys, termios
process, terminal = pty.fork()
if process == 0:
    os.environ["TERM"] = "xterm"
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(sys.argv[2]), 0, 0))
    os.execv(sys.argv[1], [sys.argv[1], *sys.argv[3:]])
shown = b""
try:
    while block := os.read(terminal, 65536):
        shown += block
except OSError:
    pass
os.waitpid(process, 0)
drawn = [line.split(b"\x1b[K")[0] for line in shown.replace(b"\r\n", b"\n").split(b"\r")[1:]]
print(b"\n".join(drawn).decode())
END
}
for width in 12 30 60 79; do
    text=$(columns $width "${short[@]}" --fresh run=narrow eval.env_steps=0 train.env_steps=3000)
    is "a_line_of_progress_fits_${width}_columns" "yes" "$(awk -v width=$width 'length >= width { bad = 1 } END { print bad || NR == 0 ? "no" : "yes" }' <<<"$text")"
done
# In 30 columns a return of -24.40 had room for its minus and a digit.
lacks a_narrow_terminal_shows_no_half_of_a_number "agent/s -" "$(columns 30 "${short[@]}" --fresh run=narrow eval.env_steps=0 train.env_steps=3000)"

# ---- Ctrl-C, where there is nothing to save ----
for command in eval render report; do
    files=(episodes=1e8 --quiet)
    [ $command = render ] && files=(out=long.svg episode=best episodes=1e8)
    [ $command = report ] && files=(out=long.html episodes=1e8 --quiet)
    text=$(timeout -s INT 0.6 "$MAPPO" $command plain "${files[@]}" 2>&1)
    is "${command}_says_that_it_was_interrupted" "124 mappo: interrupted before its end: nothing was saved no" "$? $(tail -1 <<<"$text") $([ -e "${files[0]#out=}" ] && echo yes || echo no)"
done

mkdir "$WORK/several"
has a_folder_of_runs_is_pointed_to_what_lists_them "is no run's folder; mappo runs $WORK/several lists those in it" "$("$MAPPO" render "$WORK/several" 2>&1)"
has check_is_explained_for_runs_too "verify that checkpoints are whole" "$("$MAPPO" help runs)"

# ---- eval ----
play() { "$MAPPO" eval plain threads=1 "$@" 2>&1; }
text=$(play episodes=20)
is table_holds_random_scripted_and_trained_play "random scripted trained" "$(awk 'NR > 3 && /^  [a-z]/ { printf "%s%s", s, $1; s = " " }' <<<"$text")"
has heading_says_what_the_numbers_are "mean return over 20 episodes ± standard error, mpe2 rules" "$text"
is only_the_policy_is_deterministic "1 trained" "$(grep -c 'most probable actions' <<<"$text") $(awk '/most probable actions/ { print $1 }' <<<"$text")"
lacks default_options_are_not_listed "local_ratio" "$text"
for player in trained random noop scripted; do
    text=$(play episodes=20 play=$player)
    is "play_${player}_plays_nobody_else" "1" "$(grep -c '±.*steps' <<<"$text")"
    [ $player = trained ] || lacks "play_${player}_speaks_of_no_policy" "actions" "$text"
done
printf '[eval]\nplay = trained\n' >play.ini
is a_player_of_a_file_plays_nobody_else "1" "$(grep -c '±.*steps' <<<"$(play episodes=20 --config play.ini)")"
has sampled_actions_are_said "sampled actions" "$(play episodes=20 play=trained deterministic=0)"
text=$(play episodes=1)
has one_episode_has_no_error "return of one episode, which has no standard error" "$text"
lacks one_episode_has_no_error_bar "±" "$(tail -n 3 <<<"$text")"
text=$(play episodes=1 --json)
has one_episode_has_no_error_in_json '"return_stderr":null' "$text"
has length_of_one_episode '"episode_length":25,' "$text"
for episodes in 3 7 49 1000; do # 25/49 added up 49 times is not 25
    has "length_of_${episodes}_episodes_is_exact" '"episode_length":25,' "$(play episodes=$episodes --json play=noop)"
done
has json_of_random_play_speaks_of_no_policy '"play":"random","deterministic":null' "$(play episodes=2 --json play=random)"
has json_names_all_options 'local_ratio=0.5' "$(play episodes=2 --json)"
has options_are_looked_for_in_the_checkpoint 'did you mean "env.N"? (env.N=5' "$(play N=5)"

# ---- pictures: what can be refused is refused before anything is played ----
refused() { # name part argument …
    local name=$1 part=$2 out code
    shift 2
    out=$(timeout 20 "$MAPPO" eval "$@" 2>error)
    code=$?
    is "$name" "2 0 bytes" "$code ${#out} bytes"
    has "${name}_says_why" "$part" "$(cat error)"
}
"$MAPPO" env=test/busy "${short[@]}" run=busy eval.env_steps=0 >/dev/null
mkdir folder.svg
refused picture_of_another_kind "picture: x.bmp: a name that ends in .svg, .gif, .mp4, .png or .txt is needed" plain episodes=1e8 picture=x.bmp
refused picture_without_an_ending "a name that ends in .svg" plain episodes=1e8 picture=x
refused picture_in_no_folder "nowhere/x.svg: can't be written: nowhere: No such file or directory" plain episodes=1e8 picture=nowhere/x.svg
refused picture_in_place_of_a_folder "is a folder" plain episodes=1e8 picture=folder.svg
has picture_is_told_with_its_player "/x.SVG: the first episode, no-op" "$(HOME=$WORK play episodes=1 play=noop 'picture=~/x.SVG')"
is picture_adds_nothing_to_json "1" "$(play episodes=1 --json picture=x.svg | wc -l)"
refused best_of_a_single_file "which=best chooses among the checkpoints of a run's folder, and plain/latest.h5 is one file" plain/latest.h5 which=best
refused networks_of_another_environment 'was trained on mpe/simple_spread, and test/busy has no option "N" as that' plain env=test/busy
has picture_is_drawn_at_home "<svg" "$(cat x.SVG)"
is picture_tells_return_and_ends_with_the_last_state "1 1" "$(grep -cE '>episode 0, no-op: return -[0-9.]+ in 25 steps<' x.SVG) $(grep -c '>step 25<' x.SVG)"
is nothing_else_was_left "0" "$(find . -name '*.png' -o -name '~' | wc -l)"
refused picture_of_what_cannot_be_drawn "picture: test/busy can't be drawn" busy episodes=1e8 picture=y.svg

# ---- paths ----
HOME=$WORK/home "$MAPPO" "${short[@]}" 'run=~/a' eval.env_steps=0 >/dev/null
is tilde_in_quotes_is_home "yes no" "$([ -f home/a/latest.h5 ] && echo yes || echo no) $([ -e '~' ] && echo yes || echo no)"
has a_run_at_home_is_found '"episodes":2' "$(HOME=$WORK/home "$MAPPO" eval '~/a' episodes=2 --json)"
has networks_at_home_are_found "finished" "$(HOME=$WORK/home "$MAPPO" "${short[@]}" 'train.init=~/a' run=b eval.env_steps=0)"

# ---- metrics ----
"$MAPPO" "${short[@]}" run=m eval.interval=1 eval.episodes=1 rollout.envs=1 train.env_steps=50 >/dev/null
has evaluation_of_one_episode_has_no_error '"eval_stderr":null' "$(cat m/metrics.jsonl)"
has evaluation_of_one_episode_has_a_return '"eval_return":-' "$(cat m/metrics.jsonl)"
has one_episode_has_no_deviation '"return_std":null' "$(head -n 1 m/metrics.jsonl)"

# ---- JSON is one line each; what is not there is null ----
while read -r words; do
    # shellcheck disable=SC2086
    text=$("$MAPPO" $words --json)
    is "json_of_${words//[^a-z]/_}_is_one_line" "1 yes" "$(wc -l <<<"$text") $(python3 -c 'import json, sys; json.loads(sys.stdin.read()); print("yes")' <<<"$text")"
done <<'END'
envs
envs simple_spread
envs test/kitchen_sink
inspect plain
inspect plain other
eval plain episodes=2
run=plain
END
"$MAPPO" run=mine env=test/kitchen_sink env.scene=single "${short[@]}" eval.env_steps=0 --quiet >/dev/null
has a_setting_that_is_not_there_is_null '{"name": "config/env.scene", "first": null, "second": "single"}' "$("$MAPPO" inspect plain mine --json)"
"$MAPPO" run=preset preset=on-policy "${short[@]}" eval.env_steps=0 --quiet >/dev/null
has an_empty_setting_is_seen '(empty) | on-policy' "$("$MAPPO" inspect plain preset | grep preset.name)"
is no_line_of_inspect_ends_in_blanks 0 "$({ "$MAPPO" inspect plain; "$MAPPO" inspect plain other; } | grep -c ' $')"
is differences_stand_in_one_column 1 "$("$MAPPO" inspect plain m | sed -n '/^  \/.* elements, by/{s/ elements, by.*//;s/[0-9]* of [0-9]*$//p;}' | awk '{ print length }' | sort -u | wc -l)"

# ---- good enough: train.stop_return ----
game=(env=matrix/penalty rollout.envs=4 rollout.steps=25 threads=1 train.env_steps=400 metrics.window=2)
text=$("$MAPPO" "${game[@]}" run=enough train.stop_return=-9999 eval.interval=2 eval.env_steps=0 eval.episodes=2)
is an_evaluation_ends_the_run 0 $?
has and_that_is_said "train.stop_return=-9999 reached after 2 updates, 200 env-steps" "$text"
has it_is_finished_then "enough is finished: a return of " "$("$MAPPO" "${game[@]}" run=enough train.stop_return=-9999 eval.interval=2 eval.env_steps=0)"
has and_goes_on_to_a_higher_one "finished after 4 updates, 400 env-steps" "$("$MAPPO" "${game[@]}" run=enough train.stop_return=1e9 eval.interval=2 eval.env_steps=0 eval.episodes=2)"
text=$("$MAPPO" "${game[@]}" run=trained train.stop_return=-9999 checkpoint.best=training eval.env_steps=0 2>&1)
has so_do_episodes_of_training "train.stop_return=-9999 reached after 1 update, 100 env-steps" "$text"
is whose_checkpoint_is_the_best step-000000000100.h5 "$(readlink trained/best.h5)"
text=$("$MAPPO" "${game[@]}" run=followed checkpoint.best=training eval.interval=1 eval.episodes=2 --quiet)
is evaluations_are_not_followed_then step-000000000400.h5 "$(readlink followed/best.h5)"
has nothing_can_reach_it_without_evaluations "train.stop_return has no effect here" "$("$MAPPO" "${game[@]}" run=none train.stop_return=3 eval.env_steps=0 2>&1)"

# ---- commands of the documentation, as they are pasted: from the clone, by the program's path, with settings that it takes ----
commands=$(sed -n -E 's/^(    )?((mpirun -n [0-9]+ +)?[a-z.\/]*mappo( [^#]*[^# ])?)( *#.*)?$/\2/p' "$ROOT"/README.md "$ROOT"/docs/*.md "$ROOT"/docs/zh/*.md |
    grep -v '^mappo checkpoint' | sort -u)
is the_documentation_holds_commands yes "$([ "$(wc -l <<<"$commands")" -gt 20 ] && echo yes || wc -l <<<"$commands")"
is all_begin_with_the_programs_path "" "$(grep -vE '(^| )(\./)?build/(emulated/)?mappo( |$)' <<<"$commands")"
refused=""
while read -r line; do
    read -ra words <<<"${line#*mappo}"
    case "${words[*]}" in eval* | inspect* | runs* | watch* | report* | render* | envs* | check* | bench* | doctor* | *.so* | *=py:*) continue ;; esac # py: their packages may not be here
    "$MAPPO" --dry-run --quiet "${words[@]}" >/dev/null 2>error || refused+="$line: $(cat error) "
done <<<"$commands"
is the_program_takes_those_that_train "" "$refused"

# ---- environments alone: masks, several groups, real actions ----
for env in smax/3m mpe/simple_tag classic/Pendulum-v1; do
    is "steps_of_${env//[^a-zA-Z0-9]/_}_are_measured" "1 4 1 True" "$("$MAPPO" bench env=$env only=env rollout.envs=4 threads=1 --json | python3 -c '
import json, sys
rows = [json.loads(line) for line in sys.stdin]
print(len(rows), rows[0]["envs"], rows[0]["threads"], 0 < rows[0]["cpu_ns_per_env_step"] < 1e6 and rows[0]["env_steps_per_second"] > 0)')"
done
is as_a_table_too 1 "$("$MAPPO" bench env=matrix/climbing only=env rollout.envs=4 threads=1 | grep -cE '^ 1 thread .* M env-steps/s ')"

# ---- help and version ----
is help_is_the_overview "$("$MAPPO" --help)" "$("$MAPPO" help)"
is version_is_the_same_both_ways "$("$MAPPO" --version)" "$("$MAPPO" version)"
is help_of_a_command "$("$MAPPO" eval --help)" "$("$MAPPO" help eval)"
is help_of_a_section "$("$MAPPO" --help ppo)" "$("$MAPPO" help ppo)"
is help_of_a_setting "$("$MAPPO" --help gae)" "$("$MAPPO" help gae.lambda)"
is exit_codes_stand_on_one_page "$("$MAPPO" --help exit-codes)" "$("$MAPPO" help exit-codes)"
for list in "presets sb3" "presets algo=ddpg" "algorithms happo" "algorithms replay" "keys minibatches=1"; do
    has "help_lists: $list" "${list#* }" "$("$MAPPO" help "${list% *}")"
done
has exit_codes_are_explained "75  stopped by a time limit" "$("$MAPPO" help exit-codes)"
for preset in cleanrl hands-on-rl maddpg-hands-on on-policy ppo-beginners ppo-memory sb3; do
    page=$("$MAPPO" help $preset)
    has "a_preset_explains_itself: $preset" "preset=$preset: " "$page"
    has "and_what_it_sets: $preset" "policy.feature_norm=o" "$page"
done
lacks a_preset_s_defaults_are_not_listed ppo.epochs=10 "$("$MAPPO" help sb3)"
has options_that_it_sets_are env.rules=on-policy "$("$MAPPO" help on-policy)"
for algorithm in mappo ippo coppo happo ppo maddpg ddpg; do
    has "an_algorithm_is_a_topic: $algorithm" "algo=$algorithm: " "$("$MAPPO" help $algorithm)"
done
has a_section_of_its_name_stands_on_its_page maddpg.tau "$("$MAPPO" help maddpg)"
has what_an_algorithm_begins_with_too adam.critic_lr=0.01 "$("$MAPPO" help maddpg)"
has defaults_of_algorithms_stand_beside_the_usual "default 0.01 with algo=maddpg, ddpg" "$("$MAPPO" help adam.lr)"
has what_auto_means_by_algorithm_too "default false with algo=happo, maddpg, ddpg" "$("$MAPPO" help policy.share)"
every=$("$MAPPO" train --help | tr ' ' '\n')
missing=$("$MAPPO" docs configuration | sed -n 's/^| `[a-z]*\.\([A-Za-z_.]*\)`.*| `\?\([^`|]*\)`\?[ ;|].*/\1/p' | sed 's/^NAME\.//' | while read -r key; do grep -q "^$key=" <<<"$every" || echo "$key"; done)
is every_key_stands_on_the_page_of_train_with_its_default "" "$missing"
has with_defaults_by_algorithm "algo=maddpg rollout.envs=16" "$("$MAPPO" train --help)"
# Its examples can be followed.
while read -r line; do
    # shellcheck disable=SC2086
    is "example_of_training: $line" 0 "$("$MAPPO" train --dry-run --quiet ${line#mappo} 2>&1; echo $?)"
done < <("$MAPPO" train --help | sed -n 's/^  \(mappo [a-z][^ ]*=[^ ]*\( [a-z][^ ]*=[^ ]*\)*\) .*/\1/p')
for page in help 'train --help' 'eval --help' 'inspect --help' 'runs --help' 'watch --help' 'envs --help' 'bench --help' 'doctor --help' 'docs --help' 'help --help' 'version --help'; do
    # shellcheck disable=SC2086
    text=$("$MAPPO" $page)
    lacks "codes_fill_no_page_of_${page// /_}" "stopped by a time limit" "$text"
    has "codes_are_pointed_to_by_${page// /_}" "exit-codes" "$text"
done
exit $failed
