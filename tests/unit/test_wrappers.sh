#!/usr/bin/env bash
# Wrappers in whole runs: each trains, is evaluated and goes on with the same bits; what they are for is learned with them and not without.
# timeout: 170
set -u
. "$(dirname "$0")/../tap.sh"
MAPPO=$(cd "$(dirname "${MAPPO:-build/mappo}")" && pwd)/$(basename "${MAPPO:-build/mappo}")
TAPE=$(cd "${BUILD:-build}" && pwd)/tests/plugin_of_tape.so
MEETING=$(cd "${BUILD:-build}" && pwd)/tests/meeting.so
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
cd "$WORK" || exit 1

beyond() { # name, least, most, number
    if awk -v x="${4:-none}" -v a="$2" -v b="$3" 'BEGIN { exit !(x != "none" && x + 0 >= a && x + 0 <= b) }'; then
        echo "ok - $1 ($4)"
    else
        echo "not ok - $1: expected $2 to $3, got \"${4:-nothing}\"" && failed=1
    fi
}
small=(rollout.envs=6 rollout.steps=10 policy.hidden=16 ppo.epochs=2 threads=1 eval.env_steps=0 --quiet)
number() { sed -n "s|.*\"$2\": *\\(-*[0-9.]*\\).*|\\1|p" <<<"$1"; }

# ---- each of them trains, is evaluated, and stands in the run's own settings ----
sink=env=test/kitchen_sink
while read -r env name keys; do
    # shellcheck disable=SC2086 # words of keys
    text=$("$MAPPO" "${small[@]}" "env=${env/MEETING/$MEETING}" run="each-$name" train.env_steps=200 $keys 2>&1)
    has "it_trains_with_$name" "0:each-$name: finished after" "$?:$text"
    text=$("$MAPPO" eval "each-$name" episodes=3 --json 2>&1)
    has "and_is_played_with_$name" '"episodes":3' "$text"
done <<'END'
test/kitchen_sink action_repeat wrap.action_repeat=3
test/kitchen_sink time_limit wrap.time_limit=4
test/kitchen_sink clip_reward wrap.clip_reward=0.5
test/kitchen_sink scale_reward wrap.scale_reward=3
test/kitchen_sink team_reward wrap.team_reward=sum
test/kitchen_sink hide_obs wrap.hide_obs=runner:0-2
test/kitchen_sink clip_obs wrap.clip_obs=1
test/kitchen_sink stack_obs wrap.stack_obs=4
test/kitchen_sink last_action wrap.last_action=1
test/kitchen_sink agent_id wrap.agent_id=1
test/kitchen_sink time_left wrap.time_left=1
test/kitchen_sink rescale_action wrap.rescale_action=1
test/kitchen_sink clip_action wrap.clip_action=0
classic/Pendulum-v1 discretise_action wrap.discretise_action=5
test/kitchen_sink sticky_action wrap.sticky_action=0.25
test/kitchen_sink noise_action wrap.noise_action=0.5 wrap.noise_hold=4
MEETING the_template wrap.agent_id=1 wrap.last_action=1
END

# ---- steps, returns ----
"$MAPPO" "${small[@]}" $sink run=plain train.env_steps=240 >/dev/null
"$MAPPO" "${small[@]}" $sink run=repeated train.env_steps=240 wrap.action_repeat=4 >/dev/null
is steps_of_the_environment_are_counted "60 120 180 240|240" \
    "$(sed -n 's/.*"env_steps":\([0-9]*\).*/\1/p' plain/metrics.jsonl | tr '\n' ' ' | sed 's/ $//')|$(sed -n 's/.*"env_steps":\([0-9]*\).*/\1/p' repeated/metrics.jsonl)"
"$MAPPO" "${small[@]}" $sink run=scaled train.env_steps=60 wrap.scale_reward=100 wrap.clip_reward=0.01 >/dev/null
returns() { head -1 "$1/metrics.jsonl" | grep -o '"return_[^,]*' | head -4; }
is returns_are_reported_as_they_are "$(returns plain)" "$(returns scaled)"

# ---- exact continuation ----
all=(wrap.action_repeat=2 wrap.time_limit=9 wrap.clip_reward=0.7 wrap.scale_reward=2 wrap.team_reward=mean wrap.hide_obs=runner:2 wrap.clip_obs=2 wrap.stack_obs=3
    wrap.last_action=1 wrap.agent_id=1 wrap.time_left=1 wrap.rescale_action=1 wrap.sticky_action=0.3 wrap.noise_action=0.2 wrap.noise_hold=3)
"$MAPPO" "${small[@]}" $sink run=whole train.env_steps=720 "${all[@]}" >/dev/null
"$MAPPO" "${small[@]}" $sink run=parts train.env_steps=360 "${all[@]}" >/dev/null
"$MAPPO" "${small[@]}" $sink run=parts train.env_steps=720 >/dev/null
has a_run_with_all_of_them_goes_on_with_the_same_bits "the same bit for bit" "$("$MAPPO" inspect whole parts 2>&1)"
text=$("$MAPPO" "${small[@]}" $sink run=parts train.env_steps=800 wrap.sticky_action=0.4 2>&1)
is another_wrapper_is_another_run 2 $?
has and_is_named wrap.sticky_action "$text"
has evaluation_names_what_is_other_than_in_training "wrap.stack_obs=3 (here 1)" "$("$MAPPO" eval whole episodes=2 wrap.stack_obs=1 2>&1)"

# ---- what is said ----
has their_order_is_shown "wrapped   environment -> action repeat 2 -> time limit 9 -> statistics -> reward: clip 0.7, scale 2, mean of the team -> observation: hide runner:2, clip 2, \
stack of 3, last action, agent id, time left; actions: rescale, clip -> sticky 0.3 -> noise 0.2 for 3 steps, in training" "$("$MAPPO" envs test/kitchen_sink "${all[@]}")"
has programs_read_it_too '"wrappers": "environment -> statistics -> observation: stack of 2' "$("$MAPPO" envs test/kitchen_sink wrap.stack_obs=2 --json)"
has a_hold_without_noise_is_named "wrap.noise_hold has no effect here: no noise is added" "$("$MAPPO" "${small[@]}" run=idle train.env_steps=60 wrap.noise_hold=4 2>&1)"
endless=(env=rware/tiny-2ag env.max_steps=0 train.env_steps=60)
has an_environment_that_may_never_end_is_named "names no longest episode: one that does not end" "$("$MAPPO" "${small[@]}" "${endless[@]}" run=endless 2>&1)"
is once "" "$("$MAPPO" "${small[@]}" "${endless[@]}" run=endless train.env_steps=120 2>&1 | grep "longest episode")"
is not_with_a_time_limit "" "$("$MAPPO" "${small[@]}" "${endless[@]}" run=limited wrap.time_limit=5 2>&1 >/dev/null)"
has a_word_of_others_names_the_key "wrap.stack_obs" "$("$MAPPO" frame_stack=4 2>&1)"
has check_does_not_look_at_them "doesn't look at wrap.stack_obs" "$("$MAPPO" check test/kitchen_sink wrap.stack_obs=2 2>&1)"

# ---- what they are for ----
tape() { # name, keys…: the pair's return of 10 steps that pay 1 at most
    local name=$1
    shift
    "$MAPPO" run="$name" --quiet eval.env_steps=0 env="$TAPE" env.length=10 threads=1 rollout.envs=16 rollout.steps=20 train.env_steps=32000 policy.hidden=16 algo=ippo adam.lr=5e-3 \
        "$@" >"$name.log" 2>&1
    number "$("$MAPPO" eval "$name" episodes=3 --json 2>&1)" return_mean/pair
}
beyond without_a_number_one_policy_cannot_name_two_agents 0 5 "$(tape anonymous env.pays=number wrap.hide_obs=pair:1-4)"
beyond with_one_it_can 10 10 "$(tape numbered env.pays=number wrap.hide_obs=pair:1-4 wrap.agent_id=1)"
beyond without_its_last_action_nobody_finds_the_next 0 5 "$(tape forgetful env.pays=sequel wrap.hide_obs=pair:0-4 wrap.agent_id=1)"
beyond with_it_they_do 10 10 "$(tape mindful env.pays=sequel wrap.hide_obs=pair:0-4 wrap.last_action=1)"
car() { # name, keys…
    local name=$1
    shift
    "$MAPPO" run="$name" --quiet eval.env_steps=0 env=classic/MountainCarContinuous-v0 threads=1 policy.log_std=-1 "$@" >"$name.log" 2>&1
    number "$("$MAPPO" eval "$name" episodes=100 --json 2>&1)" return_mean
}
# With small and white noise the car never sees the flag, and learns to stand still.
beyond small_noise_does_not_find_the_flag -20 1 "$(car white)"
beyond noise_that_is_held_does 90 100 "$(car held wrap.noise_action=1 wrap.noise_hold=20)"
beyond and_so_do_repeated_actions 90 100 "$(car repeats wrap.action_repeat=8 rollout.steps=32)"
exit $failed
