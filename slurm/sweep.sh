#!/bin/bash
# One training job (slurm/train.sh) for each combination of values; a comma separates values, first..last counts.
#   slurm/sweep.sh seed=1..5 ppo.entropy=0.01,0.02 train.env_steps=20e6      ten jobs
#   slurm/sweep.sh -n seed=1..5                                              only prints them
# All are checked before the first is submitted. Site settings and resources: slurm/site.sh (MAPPO_SBATCH), as for slurm/train.sh.
set -u
script=$(readlink -f "$0")
# shellcheck source=slurm/common.sh
. "${script%/*}/common.sh"
train=$here/train.sh
dry=0
case ${1:-} in
-h | --help) show_help ;;
-n) dry=1 && shift ;;
esac
[ $# -gt 0 ] || refuse "which settings? (slurm/sweep.sh --help)"
for argument in "$@"; do # the program checks the rest
    case $argument in -h | --help) show_help ;; -n) refuse "-n comes first" ;; esac
done

# combine DO... -- CHOSEN... -- REST...: does it for every combination of the values of REST.
combine() {
    local action=() chosen=() value values
    while [ "$1" != -- ]; do action+=("$1") && shift; done
    shift
    while [ "$1" != -- ]; do chosen+=("$1") && shift; done
    shift
    if [ $# -eq 0 ]; then
        "${action[@]}" "${chosen[@]}" || exit
        return
    fi
    values=${1#*=}
    if [[ $1 != *=* ]]; then
        values=
    elif [[ $values =~ ^([0-9]+)\.\.([0-9]+)$ ]]; then
        values=$(seq -s, "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}")
        [ -n "$values" ] || refuse "$1 counts down: write the smaller number first"
    fi
    if [ -z "$values" ]; then # an option, or an empty value
        combine "${action[@]}" -- "${chosen[@]+"${chosen[@]}"}" "$1" -- "${@:2}"
        return
    fi
    while IFS= read -r value; do combine "${action[@]}" -- "${chosen[@]+"${chosen[@]}"}" "${1%%=*}=$value" -- "${@:2}"; done < <(printf '%s\n' "$values" | tr , '\n')
}
print() { echo "$(quoted "$train" "$@" | sed 's/^ //')"; }
jobs=$(combine print -- -- "$@" | wc -l)
for argument in "$@"; do
    [[ $argument != run=* && $argument != run.dir=* || $argument == *,* || $jobs -le 1 ]] || refuse "$argument would be the folder of $jobs jobs: leave it out, each has one of its own"
done
if [ $dry = 1 ]; then
    combine print -- -- "$@"
    exit 0
fi
combine "$train" --dry-run -- -- "$@"
export MAPPO_CHECK=0
combine "$train" -- -- "$@"
