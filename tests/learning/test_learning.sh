#!/usr/bin/env bash
# The preset learns simple_spread: 2 M environment steps are far beyond random (-218) and idle (-204) play on each of two fixed seeds. A
# run is the same bits on one machine; -150 leaves room for other instruction levels (about -118 here).
# slow
# timeout: 300
set -u
mappo=${MAPPO:-build/mappo}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

for seed in 1 2; do
    "$mappo" run="$work/s$seed" seed=$seed env.rules=on-policy train.env_steps=2000000 eval.env_steps=0 threads=1 --quiet >"$work/log$seed" 2>&1
    name="preset_learns_simple_spread_in_2M_steps_seed_$seed"
    return=$("$mappo" eval "$work/s$seed" episodes=1000 --json 2>>"$work/log$seed" | sed -n 's/.*"return_mean": *\(-*[0-9.]*\).*/\1/p')
    if awk -v r="${return:-none}" 'BEGIN { exit !(r != "none" && r + 0 > -150) }'; then
        echo "ok - $name ($return)"
    else
        echo "not ok - $name: mean return of 1,000 deterministic episodes ${return:-none}, expected beyond -150; $(tail -1 "$work/log$seed")"
        failed=1
    fi
done
exit $failed
