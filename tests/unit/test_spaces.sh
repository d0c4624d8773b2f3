#!/usr/bin/env bash
# Every kind of space is learned to the optimum that is known (test/spaces: 8, which the scripted player gets): Discrete and MultiDiscrete whose
# values begin elsewhere, MultiBinary, Box of any shape without bounds and with bounds of every kind, several heads of observations and actions.
# slow
# timeout: 600
set -u
mappo=${MAPPO:-build/mappo}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# The last number of a line: what the network must reach on one fixed seed. Real numbers are never met exactly; random play has 1.6, 2.2, 4.0, -5.7, 6.2, 4.0.
while read -r space steps least; do
    "$mappo" train env=test/spaces env.space="$space" run="$work/$space" train.env_steps="$steps" rollout.envs=32 rollout.steps=16 policy.hidden=32 \
        adam.lr=3e-3 adam.critic_lr=3e-3 eval.env_steps=0 threads=1 --quiet >"$work/log" 2>&1
    for play in scripted trained; do
        [ $play = scripted ] && bound=7.9999 || bound=$least
        return=$("$mappo" eval "$work/$space" play=$play episodes=500 threads=1 --json 2>>"$work/log" | sed -n 's/.*"return_mean":\(-*[0-9.]*\),.*/\1/p')
        if awk -v r="${return:-none}" -v b="$bound" 'BEGIN { exit !(r != "none" && r + 0 >= b) }'; then
            echo "ok - ${space}_is_known_by_${play}_play ($return)"
        else
            echo "not ok - ${space}_is_known_by_${play}_play: mean return of 500 episodes ${return:-none}, expected at least $bound; $(tail -1 "$work/log")"
            failed=1
        fi
    done
done <<END
discrete 20000 7.9
multi_discrete 30000 7.9
multi_binary 20000 7.9
box 50000 7.6
bounded 50000 7.5
heads 60000 7.2
END
exit $failed
