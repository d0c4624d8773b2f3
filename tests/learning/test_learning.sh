#!/usr/bin/env bash
# Presets learn, each on two fixed seeds. A run is the same bits on one machine; the bounds leave room for other instruction levels.
# slow
# timeout: 400
set -u
mappo=${MAPPO:-build/mappo}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

learns() { # NAME LEAST SETTING...: the mean return of 1,000 deterministic episodes
    local name=$1 least=$2 seed return
    shift 2
    for seed in 1 2; do
        "$mappo" run="$work/$name-$seed" seed=$seed eval.env_steps=0 threads=1 --quiet "$@" >"$work/$name-$seed.log" 2>&1
        return=$("$mappo" eval "$work/$name-$seed" episodes=1000 --json 2>>"$work/$name-$seed.log" | sed -n 's/.*"return_mean": *\(-*[0-9.]*\).*/\1/p')
        if awk -v r="${return:-none}" -v least="$least" 'BEGIN { exit !(r != "none" && r + 0 > least) }'; then
            echo "ok - preset_learns_${name}_seed_$seed ($return)"
        else
            echo "not ok - preset_learns_${name}_seed_$seed: mean return of 1,000 deterministic episodes ${return:-none}, expected beyond $least; $(tail -1 "$work/$name-$seed.log")"
            failed=1
        fi
    done
}

# Random play returns -218 and idle play -204; about -118 here. A team that one agent has left stands near -140.
learns simple_spread_in_2M_steps -125 env.rules=on-policy train.env_steps=2000000
# 500 here.
learns cartpole 475 env=classic/CartPole-v1
# About -155 here; random play returns -1219.
learns pendulum -200 env=classic/Pendulum-v1
exit $failed
