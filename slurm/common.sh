# Sourced by the scripts beside it, which set $script (their own path): words, settings and the job's record.
# shellcheck shell=bash disable=SC2034
script_name=$(basename "$script") here=$(dirname "$script")

note() { echo "$script_name: $*"; }
refuse() { note "$*" >&2 && exit 2; }
quoted() { printf ' %q' "$@"; } # for people, who may paste it

# The comment at the top of the script.
show_help() { sed -n '2,/^[^#]/{/^#SBATCH/d;s/^# \{0,1\}//p;}' "$script" && exit 0; }

# Slurm's tools go by other names on Tianhe machines.
tool() {
    local name
    for name in "$@"; do command -v "$name" && return; done
    return 1
}

# count NAME VALUE LEAST: what should be a whole number.
count() { [[ $2 =~ ^(0|[1-9][0-9]{0,8})$ && $2 -ge $3 ]] || refuse "$1=$2 is not a whole number from $3 on"; }

# words NAME: splits $NAME into the array `words` as a shell would, quotes and backslashes included; nothing in it is expanded.
words() {
    local lines
    words=()
    [[ ${!1:-} == *[![:space:]]* ]] || return 0
    lines=$(xargs printf '%s\n' <<<"${!1}" 2>/dev/null) || refuse "$1: a quote without its pair: ${!1}"
    mapfile -t words <<<"$lines"
}

# Modules, flags, launcher: what the site says.
read_site() {
    local site=$here/site.sh
    if [ -n "${MAPPO_SITE:-}" ]; then
        site=$MAPPO_SITE
        [ -f "$site" ] || refuse "MAPPO_SITE=$site: there is no such file"
    fi
    # shellcheck disable=SC1090
    [ ! -f "$site" ] || . "$site"
}

# Sets $program: the one that $MAPPO names, else that of this clone or installation, else the one on PATH.
find_program() {
    if [ -n "${MAPPO:-}" ]; then
        program=$(command -v "$MAPPO") || refuse "MAPPO=$MAPPO: there is no such program"
    else
        for program in "$here/../build/mappo" "$here/../../../bin/mappo" "$(command -v mappo)"; do [ -x "$program" ] && break; done
        [ -x "$program" ] || refuse "no program: build it with \`make\`, or say MAPPO=/path/to/mappo"
    fi
    program=$(readlink -f "$program")
}

# Root, as in containers: Open MPI wants to be told. srun of Slurm 22.05 and later no longer takes a task's cores from the job.
prepare_launch() {
    [ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    [ -z "${SLURM_CPUS_PER_TASK:-}" ] || export SRUN_CPUS_PER_TASK=${SRUN_CPUS_PER_TASK:-$SLURM_CPUS_PER_TASK}
}

# ---- the job's record ----------------------------------------------------------------------------------------------------------------
scontrol=$(tool scontrol yhcontrol)
record_of() { "$scontrol" show job "$1" 2>/dev/null; } # JOB
# field NAME, of the record on standard input; empty where it holds nothing.
field() { sed -n "s#^\(.* \)\{0,1\}$1=\([^ ]*\).*#\2#p" | head -1 | grep -vxE '\(null\)|N/A|None|0|\*|'; }
line() { sed -n "s#^ *$1=##p" | head -1 | sed 's/ *$//' | grep -vxF '(null)'; } # a field that may hold blanks and has a line for itself

# What a job asked for stands in its record and, as far as tasks and GPUs are concerned, in its environment: the flags that ask for it again,
# in the array `shape`.
shape_of_job() {
    local record key flag value
    record=$(record_of "$SLURM_JOB_ID")
    shape=()
    while read -r key flag; do
        value=$(field "$key" <<<"$record")
        [ -z "$value" ] || shape+=("$flag=$value")
    done <<<"Account --account
Partition --partition
QOS --qos
Reservation --reservation
Features --constraint
Licenses --licenses
Network --network
ReqNodeList --nodelist
ExcNodeList --exclude
MinTmpDiskNode --tmp
MinMemoryNode --mem
MinMemoryCPU --mem-per-cpu
TresPerNode --gres
CoreSpec --core-spec
MailUser --mail-user
MailType --mail-type"
    while read -r key flag; do
        [ "$key${SLURM_HINT:+ hint}" != "SLURM_THREADS_PER_CORE hint" ] || continue # the hint says it, and is alone allowed to
        [ -z "${!key:-}" ] || shape+=("$flag=${!key}")
    done <<<"SLURM_JOB_NUM_NODES --nodes
SLURM_NTASKS --ntasks
SLURM_NTASKS_PER_NODE --ntasks-per-node
SLURM_NTASKS_PER_SOCKET --ntasks-per-socket
SLURM_NTASKS_PER_CORE --ntasks-per-core
SLURM_NTASKS_PER_GPU --ntasks-per-gpu
SLURM_CPUS_PER_TASK --cpus-per-task
SLURM_THREADS_PER_CORE --threads-per-core
SLURM_HINT --hint
SLURM_GPUS --gpus
SLURM_GPUS_PER_TASK --gpus-per-task
SLURM_GPUS_PER_SOCKET --gpus-per-socket
SLURM_CPUS_PER_GPU --cpus-per-gpu
SLURM_MEM_PER_GPU --mem-per-gpu"
    local i
    for i in "${!shape[@]}"; do # older records: gpu:4, newer: gres:gpu:4 and gres/gpu:4
        [[ ${shape[i]} == --gres=* ]] && shape[i]=$(sed 's,gres[:/],,g' <<<"${shape[i]}")
    done
    [ "$(field Contiguous <<<"$record")" != 1 ] || shape+=(--contiguous)
    case $(field OverSubscribe <<<"$record") in
    NO | EXCLUSIVE) shape+=(--exclusive) ;;
    USER) shape+=(--exclusive=user) ;;
    MCS) shape+=(--exclusive=mcs) ;;
    YES) shape+=(--oversubscribe) ;;
    esac
    value=$(field TimeLimit <<<"$record")
    [[ $value != [0-9]* ]] || shape+=("--time=$value")
    value=$(line Comment <<<"$record")
    [ -z "$value" ] || shape+=("--comment=$value")
    value=$(line StdOut <<<"$record")
    if [ -n "$value" ]; then # the name of this job's log, with its number where the next one's belongs
        value=${value//%/%%} flag=${value##*/}
        shape+=("--output=${value%/*}/${flag//"$SLURM_JOB_ID"/%j}")
    fi
    [ "${SLURM_JOB_NAME:-mappo}" = mappo ] || shape+=("--job-name=$SLURM_JOB_NAME")
}
# differing JOB: what that job's record says otherwise than this one's, of the things that someone asks for; a line each.
differing() {
    local ours theirs key
    ours=$(record_of "$SLURM_JOB_ID") theirs=$(record_of "$1")
    [ -n "$theirs" ] || return 0
    for key in Account Partition QOS Reservation Features Licenses TimeLimit CPUs/Task NtasksPerN:B:S:C MinMemoryNode MinMemoryCPU OverSubscribe TresPerNode \
        TresPerJob TresPerTask TresPerSocket CpusPerTres MemPerTres NtasksPerTRES; do
        [ "$(field "$key" <<<"$ours")" = "$(field "$key" <<<"$theirs")" ] || echo "$key is $(field "$key" <<<"$theirs" || echo none) instead of $(field "$key" <<<"$ours" || echo none)"
    done
}
