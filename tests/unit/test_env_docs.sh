#!/usr/bin/env bash
# docs/env-abi.md: its first example is the template, letter for letter; both compile as the page says, are sound and can be learned.
set -u
cd "$(dirname "$0")/../.." || exit 1
mappo=${MAPPO:-$PWD/build/mappo}
folder=$(mktemp -d "${TMPDIR:-/tmp}/mappo-docs.XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
failed=0
result() { # name, status, what went wrong
    if [ "$2" = 0 ]; then
        echo "ok - $1"
    else
        echo "not ok - $1: $3"
        failed=1
    fi
}

# The fenced C of the page up to the second example, blocks one after the other; blank lines between them don't count.
awk '/^## A second example/ { exit } /^```c$/ { on = 1; next } /^```$/ { on = 0 } on' docs/env-abi.md | grep -v '^$' > "$folder/page.c"
awk '/^## A second example/ { second = 1 } /^```c$/ { on = second; next } /^```$/ { on = 0 } on' docs/env-abi.md > "$folder/whisper.c"
grep -v '^$' envs/template/meeting.c > "$folder/template.c"
difference=$(diff "$folder/page.c" "$folder/template.c" | head -3 | tr '\n' ' ')
[ -z "$difference" ] && [ -s "$folder/page.c" ]
result example_on_the_page_is_the_template $? "docs/env-abi.md and envs/template/meeting.c differ: $difference"

said=$(${CC:-cc} -std=c11 -Wall -Wextra -Werror -O3 -shared -fPIC -Isrc -o "$folder/meeting.so" "$folder/page.c" 2>&1)
result example_compiles_as_the_page_says $? "$(echo "$said" | head -2 | tr '\n' ' ')"
said=$(${CC:-cc} -std=c11 -Wall -Wextra -Werror -O3 -shared -fPIC -Isrc -o "$folder/whisper.so" "$folder/whisper.c" 2>&1)
result second_example_compiles $? "$(echo "$said" | head -2 | tr '\n' ' ')"

# What cannot be a batch is refused by the compiler, in the words of the interface: as host code already, not as a kernel alone.
refused() { # name, sed's change of the template, what is said
    sed -e "$2" envs/template/meeting.c > "$folder/refused.c"
    said=$(${CC:-cc} -std=c11 -Isrc -c -o "$folder/refused.o" "$folder/refused.c" 2>&1)
    [ $? != 0 ] && grep -q "$3" <<<"$said"
    result "$1" $? "$(head -2 <<<"$said" | tr '\n' ' ')"
}
refused more_groups_than_there_can_be_do_not_compile 's/LANE_PLUGIN(meeting, 1,/LANE_PLUGIN(meeting, 9,/' '1 to MAPPO_MAX_GROUPS groups'
refused no_way_to_see_does_not_compile 's/(observe, sound,/(sound,/' 'needs the word observe or observe_agent'
refused a_copy_that_cannot_lie_in_a_batch_does_not_compile 's/int32_t cell\[/_Alignas(32) int32_t cell[/' 'begin at multiples of 8 bytes'

cd "$folder" || exit 1
for example in meeting whisper; do
    said=$("$mappo" check "./$example.so" steps=200 2>&1)
    result "${example}_is_sound" $? "$(grep '^fault' <<<"$said")"
done
said=$("$mappo" envs ./meeting.so 2>&1) && grep -q "template/meeting: N agents on a line try to meet" <<<"$said" && grep -q "own cell" <<<"$said"
result example_describes_itself $? "mappo envs ./meeting.so says: $(head -2 <<<"$said" | tr '\n' ' ')"

said=$("$mappo" env=./meeting.so env.N=4 train.env_steps=100000 threads=1 run=run --quiet 2>&1)
result example_can_be_trained_on $? "$(tail -2 <<<"$said" | tr '\n' ' ')"

# Agents that act at random return -11.6; after 100,000 steps of training the mean is beyond -4 (it was -1.1).
said=$("$mappo" eval run episodes=300 --json 2>&1)
mean=$(sed -n 's/.*"return_mean": *\(-\{0,1\}[0-9.]*\).*/\1/p' <<<"$said" | head -1)
[ -n "$mean" ] && awk -v mean="$mean" 'BEGIN { exit !(mean > -4) }'
result example_is_learned $? "return_mean is ${mean:-missing}, expected above -4"

# Without words the listener can do no better than wait in the middle: -3.3; at random the mean is -4.8. Talking it was -0.7 after 100,000 steps (seeds 1 to 3).
said=$("$mappo" env=./whisper.so train.env_steps=100000 seed=2 threads=1 run=talk eval.env_steps=0 --quiet 2>&1 && "$mappo" eval talk episodes=300 --json 2>&1)
mean=$(sed -n 's/.*"return_mean": *\(-\{0,1\}[0-9.]*\).*/\1/p' <<<"$said" | head -1)
[ -n "$mean" ] && awk -v mean="$mean" 'BEGIN { exit !(mean > -2.5) }'
result second_example_is_learned $? "return_mean is ${mean:-missing}, expected above -2.5: $(tail -2 <<<"$said" | tr '\n' ' ')"

echo "1..12"
exit $failed
