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
check "a_sweep_leaves_the_programs_own_list_of_seeds" "seeds=1-3\\,9 adam.lr=1e-3|seeds=1-3\\,9 adam.lr=1e-4|" \
    "$("$root/slurm/sweep.sh" -n seeds=1-3,9 adam.lr=1e-3,1e-4 | sed 's,^.*/train.sh ,,' | tr '\n' '|')"
# ---- what it was asked for is read before anything is measured ----
mkdir "$work/it's a folder" && cp -r "$root/slurm" "$work/it's a folder/" && rm -f "$work/it's a folder/slurm/site.sh"
scaling=$work/it\'s\ a\ folder/slurm/scaling.sh
out=$("$scaling" --help)
check "scaling_prints_help_and_measures_nothing" "0 yes" "$? $(grep -q 'SECONDS_EACH=20' <<<"$out" && echo yes)"
for wrong in MODE=wek SECONDS_EACH=long RANKS="1 x" THREADS=-1 MAPPO=/nosuch/mappo MAPPO_LAUNCHER="'srun" MAPPO_LAUNCHER=none; do
    out=$(env MAPPO="${MAPPO:-$root/build/mappo}" "$wrong" "$scaling" rollout.envs=8 2>&1)
    check "values_of_variables_are_checked ($wrong)" "2 1" "$? $(grep -c "^scaling.sh: ${wrong%%=*}" <<<"$out")"
done
printf '#!/bin/sh\nexit 3\n' >"$work/broken" && chmod +x "$work/broken"
out=$(MAPPO=$work/broken RANKS=1 MAPPO_LAUNCHER=env "$scaling" 2>&1)
check "a_measurement_that_fails_is_a_failure" "1 1" "$? $(grep -c 'failed with exit code 3' <<<"$out")"
exit $failed
