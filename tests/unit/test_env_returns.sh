#!/usr/bin/env bash
# envs/returns.def, which `mappo envs` shows: other episodes of random and scripted players give its numbers, of one group and of two.
cd "$(dirname "$0")/../.." || exit 1
failed=0
"${PYTHON:-python3}" scripts/returns.py --program "${MAPPO:-build/mappo}" --compare matrix/climbing classic/CartPole-v1 mpe/simple_adversary || failed=1

list=$("${MAPPO:-build/mappo}" envs)
has() { # name, pattern over lines of the list
    if grep -qE "$2" <<<"$list"; then echo "ok - $1"; else echo "not ok - $1: mappo envs has no line like $2" && failed=1; fi
}
has returns_of_all_players_are_listed '^    returns   random 22\.[0-9]+ +scripted 500\.00 +trained [0-9.]+ +200 k steps$'
has those_of_groups_have_a_line_each '^              random [-0-9.]+ +scripted [-0-9.]+ +trained [-0-9.]+ .*agent$'
has those_under_other_settings_say_which ' trained -1[0-9.]+ +20 M steps  rules=on-policy$'
json=$("${MAPPO:-build/mappo}" envs mpe/simple_adversary --json)
if "${PYTHON:-python3}" -c 'import json, sys; a, b = json.loads(sys.argv[1])["returns"][:2]; sys.exit(not (a["group"] == "adversary" and a["random_stderr"] > 0 and a["random"] < a["scripted"] < b["scripted"]))' "$json"; then
    echo "ok - json_has_them_with_their_errors"
else
    echo "not ok - json_has_them_with_their_errors: ${json: -400}"
    failed=1
fi
exit $failed
