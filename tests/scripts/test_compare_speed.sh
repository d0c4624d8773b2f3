#!/usr/bin/env bash
# scripts/compare_speed.py without any package: what has none is measured, what lacks its package is named, and the page is what the data make.
set -u
. "$(dirname "$0")/../tap.sh"
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Without the site's packages, so that none is there.
compare() { python3 -I -S scripts/compare_speed.py --data "$work" --pairs 1 "$@" >"$work/out" 2>&1; }

compare matrix/climbing classic/CartPole-v1
is what_lacks_its_package_is_left_out 1 $?
is and_named_with_how_to_install_it 1 "$(grep -cE '^classic was left out, its package is not installed: .* -m pip install gymnasium$' "$work/out")"
is what_needs_none_is_measured "matrix/climbing 2 1 True" "$(python3 -c '
import json, sys
row = json.load(open(sys.argv[1]))["rows"][0]
print(row["name"], row["agents"], len(row["pairs"]), row["pairs"][0]["ours"]["core"] > 1e5)' "$work/matrix.json" 2>&1)"
compare nonsense
is unknown_names_are_refused "1 1" "$? $(grep -c 'nonsense is neither a suite nor a name' "$work/out")"
is the_page_is_what_the_data_make 0 "$(python3 scripts/compare_speed.py --check >/dev/null 2>&1; echo $?)"
compare --check
is and_that_is_noticed_where_it_is_not 1 $?
exit $failed
