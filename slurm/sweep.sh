#!/bin/bash
# One training job (slurm/train.sh) for each combination of values; a comma separates values, first..last counts.
#   slurm/sweep.sh seed=1..5 ppo.entropy=0.01,0.02 train.env_steps=20e6      ten jobs
#   slurm/sweep.sh -n seed=1..5                                              only prints them
# Site settings and resources: slurm/site.sh (MAPPO_SBATCH), as for slurm/train.sh.
set -u
train=$(dirname "$(readlink -f "$0")")/train.sh
dry=0
[ "${1:-}" = -n ] && dry=1 && shift
[ $# -gt 0 ] || { sed -n '2,5s/^# //p' "$0" && exit 2; }

combine() { # CHOSEN... -- REST...
    local chosen=() value values first last
    while [ "$1" != -- ]; do chosen+=("$1") && shift; done
    shift
    if [ $# -eq 0 ]; then
        if [ $dry = 1 ]; then echo "$train ${chosen[*]}"; else "$train" "${chosen[@]}" || exit; fi
        return
    fi
    values=${1#*=}
    if [[ $1 != *=* ]]; then
        values=
    elif [[ $values =~ ^([0-9]+)\.\.([0-9]+)$ ]]; then
        first=${BASH_REMATCH[1]} last=${BASH_REMATCH[2]}
        values=$(seq -s, "$first" "$last")
    fi
    if [ -z "$values" ]; then # an option, or an empty value
        combine "${chosen[@]+"${chosen[@]}"}" "$1" -- "${@:2}"
        return
    fi
    while IFS= read -r value; do combine "${chosen[@]+"${chosen[@]}"}" "${1%%=*}=$value" -- "${@:2}"; done < <(printf '%s\n' "$values" | tr , '\n')
}
combine -- "$@"
