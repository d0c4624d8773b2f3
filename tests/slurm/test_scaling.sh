#!/usr/bin/env bash
# slurm/scaling.sh prints a line for each number of ranks and leaves nothing behind; slurm/sweep.sh lists the combinations.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d --suffix=.mappo-scaling) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0
check() { # NAME EXPECTED ACTUAL
    if [ "$2" = "$3" ]; then echo "ok - $1"; else
        failed=1
        echo "not ok - $1: expected \"$2\", got \"$3\""
    fi
}
if command -v mpirun >/dev/null; then
    out=$(SECONDS_EACH=2 RANKS="1 2" MODE=weak MAPPO=${MAPPO:-$root/build/mappo} "$root/slurm/scaling.sh" rollout.envs=8 2>&1)
    check "scaling_prints_speed_efficiency_and_communication_for_each_number_of_ranks" 2 "$(grep -cE '^ +[12] +(8|16) +[0-9]+ +[0-9]+ +[0-9]+ % +[0-9]+ %$' <<<"$out")"
    check "weak_scaling_grows_with_the_ranks" "8 16" "$(awk '$1 ~ /^[12]$/ { printf "%s%s", n++ ? " " : "", $2 }' <<<"$out")"
    [ $failed = 0 ] || sed 's/^/# /' <<<"$out"
else
    echo "ok - scaling_prints_speed_efficiency_and_communication_for_each_number_of_ranks # SKIP needs mpirun"
fi
check "nothing_is_left_behind" "" "$(ls)"
check "sweep_lists_all_combinations" "seed=1 adam.lr=1e-3 --fresh|seed=1 adam.lr=1e-4 --fresh|seed=2 adam.lr=1e-3 --fresh|seed=2 adam.lr=1e-4 --fresh|" \
    "$("$root/slurm/sweep.sh" -n seed=1..2 adam.lr=1e-3,1e-4 --fresh | sed 's,^.*/train.sh ,,' | tr '\n' '|')"
exit $failed
