#!/bin/bash
# One training job (slurm/train.sh) for each combination of values; a comma separates values, first..last counts.
#   slurm/sweep.sh seed=1..5 ppo.entropy=0.01,0.02 train.env_steps=20e6      ten jobs; seed=1..5,9 is possible, too
#   slurm/sweep.sh -n seed=1..5                                              only prints them
#   slurm/sweep.sh seeds=1-5 ppo.entropy=0.01,0.02                           two jobs, each of which trains five seeds on parts of its ranks
# All are checked before the first is submitted. Site settings and resources: slurm/site.sh (MAPPO_SBATCH), as for slurm/train.sh.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # as `sh sweep.sh`
set -u +o posix
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
    case $argument in
    -h | --help) show_help ;;
    -n) refuse "-n comes first" ;;
    --) refuse "-- is no setting" ;; # and ends the lists of combine
    esac
done

# expand ARGUMENT: the array `values` of what it may be; an option, or an empty value, as it is, and so is seeds=, the program's own list.
expand() {
    local value
    values=()
    [[ $1 == *=?* && $1 != seeds=* ]] || { values=("$1") && return; }
    while IFS= read -r value; do
        if [[ $value =~ ^([0-9]{1,9})\.\.([0-9]{1,9})$ ]]; then
            ((10#${BASH_REMATCH[1]} <= 10#${BASH_REMATCH[2]})) || refuse "$1 counts down: write the smaller number first"
            for ((value = 10#${BASH_REMATCH[1]}; value <= 10#${BASH_REMATCH[2]}; value++)); do values+=("${1%%=*}=$value"); done
        else
            values+=("${1%%=*}=$value")
        fi
    done < <(tr , '\n' <<<"${1#*=}")
}

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
    expand "$1"
    for value in "${values[@]}"; do combine "${action[@]}" -- "${chosen[@]+"${chosen[@]}"}" "$value" -- "${@:2}"; done
}
print() { echo "$(quoted "$train" "$@" | sed 's/^ //')"; }
for argument in "$@"; do # each of one run's settings twice would be the same job twice, in the same folder
    expand "$argument"
    twice=$(printf '%s\n' "${values[@]}" | awk 'seen[$0]++ == 1')
    [ -z "$twice" ] || refuse "$argument has ${twice%%$'\n'*} more than once"
done
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
