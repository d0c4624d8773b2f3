#!/usr/bin/env bash
# scripts/compare_maddpg.py without PyTorch: what is missing is named, and the page is what the data make.
set -u
. "$(dirname "$0")/../tap.sh"
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Without the site's packages, so that none is there.
compare() { python3 -I -S scripts/compare_maddpg.py --data "$work" "$@" >"$work/out" 2>&1; }

compare
is what_lacks_pytorch_is_refused 1 $?
is and_told_how_to_install_it 1 "$(grep -cE '^compare_maddpg.py: not installed: torch, mpe2; .* -m pip install torch mpe2$' "$work/out")"
is nothing_is_written_then 0 "$(find "$work" -name '*.json' | wc -l)"
is the_page_is_what_the_data_make 0 "$(python3 scripts/compare_maddpg.py --check >/dev/null 2>&1; echo $?)"
# Three pairs: medians of each side, and of the ratios of the pairs; an update of theirs is what a second holds, turned over. One thread counts in
# processor time, several on the clock.
data() { # CORE: updates a second of processor time of the first row's second pair
    cat >"$work/maddpg.json" <<J
{"program": "mappo 1.0 (abc, gcc)", "versions": {"torch": "2.0"}, "processor": "some, 2 cores", "date": "2026-01-01", "rows": [
 {"threads": 1, "pairs": [
  {"ours": {"update": {"core": 0.002, "clock": 9}, "train": {"core": 40000, "clock": 9}}, "update": {"core": 50, "clock": 49}, "train": {"core": 1000, "clock": 9}},
  {"ours": {"update": {"core": 0.002, "clock": 9}, "train": {"core": 30000, "clock": 9}}, "update": {"core": 100, "clock": $1}, "train": {"core": 2000, "clock": 9}},
  {"ours": {"update": {"core": 0.004, "clock": 9}, "train": {"core": 38000, "clock": 9}}, "update": {"core": 62.5, "clock": $1}, "train": {"core": 2000, "clock": 9}}]},
 {"threads": 2, "pairs": [
  {"ours": {"update": {"core": 9, "clock": 0.001}, "train": {"core": 9, "clock": 80000}}, "update": {"core": 9, "clock": 100}, "train": {"core": 9, "clock": 1000}}]}]}
J
}
table() { python3 -c 'import sys; sys.path.insert(0, "scripts"); import compare_maddpg; print(compare_maddpg.table(sys.argv[1]))' "$work" 2>&1; }
data 99
is medians_of_pairs_are_shown "| 1 | 2.00 ms | 16.00 ms | 5.0 (4.0 to 10.0) | 38 k | 2 k | 19.0 (15.0 to 40) |" "$(table | grep '^| 1 ')"
is aims_that_are_reached_are_bold "| 2 | 1.00 ms | 10.00 ms | **10.0** (10.0 to 10.0) | 80 k | 1 k | **80** (80 to 80) |" "$(table | grep '^| 2 ')"
is versions_and_machine_are_named 1 "$(table | grep -cx '2026-01-01, mappo 1.0 abc (torch 2.0); some, 2 cores.')"
data 40
is what_several_threads_reach_on_a_busy_machine_is_not_shown "| 2 | busy |  |  |  |  |  |" "$(table | grep '^| 2 ')"
compare --check
is other_data_than_the_page_s_are_noticed 1 $?
exit $failed
