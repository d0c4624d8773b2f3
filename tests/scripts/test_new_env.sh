#!/usr/bin/env bash
# scripts/new_env.sh: what it writes compiles, is sound and trains at once, by the very lines that it prints; nothing is overwritten.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
program=$(cd "$(dirname "${MAPPO:-build/mappo}")" && pwd)/$(basename "${MAPPO:-build/mappo}")
work=$(mktemp -d "${TMPDIR:-/tmp}/mappo-new env.XXXXXX") || exit 1 # with a blank in its name
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0
result() { # name, status, what went wrong
    if [ "$2" = 0 ]; then echo "ok - $1"; else echo "not ok - $1: ${3:0:400}" && failed=1; fi
}
try() { # name, status, part of what is said, words of the call…
    local said
    said=$("$root/scripts/new_env.sh" "${@:4}" 2>&1)
    [ $? = "$2" ] && grep -qF -- "$3" <<<"$said"
    result "$1" $? "$said"
}

said=$("$root/scripts/new_env.sh" pursuit "$work" 2>&1)
result it_writes_one $? "$said"
grep -q meeting pursuit.c
result nothing_of_it_is_called_as_the_template_is "$((! $?))" "$(grep -n meeting pursuit.c | head -2)"
# Its lines, with the program that is tested, and a short run.
lines=$(sed -n 's/^  //p' <<<"$said" | sed -e "s|^[^ ]*/build/mappo |$(printf %q "$program") |" -e 's|^cc |cc -Wextra -Werror |' -e 's|env=.*|& train.env_steps=3200 eval.env_steps=0 threads=1 run=here|')
[ "$(wc -l <<<"$lines")" = 3 ]
result it_says_three_lines $? "$said"
told=$(bash -ec "$lines" 2>&1) && grep -q '^0 faults, 0 warnings' <<<"$told" && grep -q 'finished after 1 update' <<<"$told"
result it_compiles_is_sound_and_trains_at_once $? "$told"

try nothing_is_overwritten 2 'pursuit.c is there already' pursuit "$work"
try a_name_is_one_in_c 2 '"My-Env" names structs and functions in C' My-Env
try a_missing_folder_is_named 2 'nowhere is no folder' mine nowhere
try without_a_name_it_says_how 0 'usage: scripts/new_env.sh NAME'
exit $failed
