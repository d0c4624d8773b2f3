#!/usr/bin/env bash
# The command `mappo check`: lines, exit codes, JSON. What it finds: test_env_check.c.
set -u
. "$(dirname "$0")/../tap.sh"
MAPPO=$(cd "$(dirname "${MAPPO:-build/mappo}")" && pwd)/$(basename "${MAPPO:-build/mappo}")
PLUGIN=$(cd "${BUILD:-build}/tests" && pwd)/plugin_with_faults.so
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
cd "$WORK" || exit 1

"$MAPPO" check mpe/simple_spread env.N=2 steps=60 >out 2>err
is a_sound_environment_ends_with_0 "0 0 faults, 0 warnings" "$? $(tail -1 out)"
is its_options_stand_first 1 "$(head -1 out | grep -c '^mpe/simple_spread rules=mpe2 N=2 ')"
is what_was_looked_at_is_told "looked at: 60 steps of 8 environments, 16 episodes" "$(grep '^looked at' out)"
is its_speed_is_told 1 "$(grep -cE '^speed: [1-9][0-9]* environment steps a second on one thread \([0-9.e+]+ ns a step\)$' out)"
is what_becomes_of_its_kernels_is_told 1 "$(grep -cE "^kernels: (not run: |the host's bits in )" out)"
is nothing_is_an_error "" "$(cat err)"

"$MAPPO" check "$PLUGIN" env.fault=exits steps=20 >out 2>err
is a_fault_ends_with_3 "3 1 fault, 0 warnings" "$? $(tail -1 out)"
is a_fault_is_one_line 1 "$(grep -c '^fault: ended the process in its step() of environments \[0, 8), step 7 with exit code 0' out)"
is what_was_seen_until_then_is_told "looked at: 7 steps of 8 environments, 1 episode" "$(grep '^looked at' out | sed 's/, [0-9]* episodes*/, 1 episode/')"
"$MAPPO" check "$PLUGIN" env.fault=draws_nothing steps=20 >out 2>err
is a_warning_is_no_fault "0 warning: draw() draws nothing" "$? $(grep '^warning' out)"
"$MAPPO" check "$PLUGIN" env.fault=prints steps=20 >out 2>err
is what_it_prints_goes_nowhere "3 0" "$? $(grep -c '^a step' out)"

"$MAPPO" check "$PLUGIN" env.fault=no_bit steps=20 seed=5 --json >out 2>err
is json_ends_alike 3 $?
is json_is_one_object_with_all_of_it "test/faults 1 0 8 20 none True" "$(python3 -c '
import json
r = json.loads(open("out").read())
print(r["id"], len(r["faults"]), len(r["warnings"]), r["environments"], r["steps"], r["kernels"][:4], r["ns_per_step"] > 0)' 2>&1)"

"$MAPPO" check "${PLUGIN/_with_faults/_of_rules}" env.fault=configure_refuses >out 2>err
is options_that_it_refuses_end_with_2_as_in_training '2 0 mappo: environment "test/rules": not today' "$? $(wc -c <out) $(cat err)"

bad() { # name message argument …
    local name=$1 message=$2
    shift 2
    text=$("$MAPPO" check "$@" 2>&1)
    is "$name" "2 mappo: $message" "$? $text"
}
bad without_an_environment "mappo check needs ENV (mappo check --help)"
bad the_environment_is_an_operand "mappo check takes the environment without env=: mappo check test/busy" env=test/busy
bad one_environment_is_enough "mappo check takes the environment without env=: mappo check test/busy" test/busy env=mpe/simple_spread
bad steps_are_a_number 'steps=many: how many steps of each environment mappo check looks at is a whole number from 1 to 1e8' test/busy steps=many
bad other_settings_are_not_looked_at "mappo check doesn't look at ppo.clip (mappo check --help)" test/busy ppo.clip=0.1
is nothing_is_left_behind "err out" "$(echo *)"
exit $failed
