# Sourced by the tests of this folder: a real Slurm in a temporary folder, on the loopback address.
#   cluster_start    one node of 8 cores: 0 when it answers; 1 with a reason in $cluster_why where this machine can't have one
#   cluster_start 2  node1 and node2, both this machine, with 4 cores, 4 GB and 2 pretended GPUs
#   cluster_stop     ends what cluster_start began, by process id, and removes the folder; after ten minutes the daemons end by themselves
# shellcheck shell=bash disable=SC2034
cluster_folder="" cluster_why="" cluster_pids=()

cluster_start() {
    local program port nodes=node gpus="" selected=CR_Core
    local node="NodeName=node CPUs=8"
    [ "$(id -u)" = 0 ] || { cluster_why="needs root to start a Slurm of its own" && return 1; }
    for program in slurmctld slurmd munged sbatch scontrol; do
        PATH=$PATH:/usr/sbin command -v $program >/dev/null || { cluster_why="needs $program (packages slurm-wlm, munge)" && return 1; }
    done
    id munge >/dev/null 2>&1 || { cluster_why="needs the user munge (package munge)" && return 1; }
    PATH=$PATH:/usr/sbin
    cluster_folder=$(mktemp -d --suffix=.mappo-slurm) || return 1
    chmod 755 "$cluster_folder"
    # 400 ports that no other test has, for as long as its daemons live.
    until port=$((20000 + RANDOM % 25 * 400)) && exec {cluster_lock}>"${TMPDIR:-/tmp}/mappo-slurm-$port.lock" && flock -n "$cluster_lock"; do sleep 0.1; done
    if [ "${1:-1}" = 2 ]; then
        nodes="node1 node2" gpus="GresTypes=gpu" selected=CR_Core_Memory
        node="NodeName=node[1-2] Port=[$((port + 1))-$((port + 2))] CPUs=4 RealMemory=4000 Gres=gpu:2 Features=fast,big"
        ln -s /dev/zero "$cluster_folder/gpu0" && ln -s /dev/full "$cluster_folder/gpu1"
        echo "Name=gpu File=$cluster_folder/gpu[0-1]" >"$cluster_folder/gres.conf"
    fi

    # A munge of our own: its socket and key are not the system's.
    mkdir "$cluster_folder/munge"
    chown munge "$cluster_folder/munge"
    head -c 1024 /dev/urandom >"$cluster_folder/munge/key"
    chown munge "$cluster_folder/munge/key" && chmod 400 "$cluster_folder/munge/key"
    setpriv --reuid=munge --regid="$(id -g munge)" --clear-groups timeout 600 munged --foreground --force --key-file="$cluster_folder/munge/key" --socket="$cluster_folder/munge/socket" \
        --pid-file="$cluster_folder/munge/pid" --log-file="$cluster_folder/munge/log" --seed-file="$cluster_folder/munge/seed" </dev/null >"$cluster_folder/munged.out" 2>&1 &
    cluster_pids+=($!)

    # Slurm can bind to its host name's address only: that is the loopback interface on most machines, else it listens on all of them.
    local address bind="# listens on all interfaces"
    address=$(getent ahostsv4 "$(hostname -s)" | awk '{ print $1; exit }')
    case $address in
    127.*) bind="CommunicationParameters=NoCtldInAddrAny,NoInAddrAny" ;;
    *) address=127.0.0.1 ;;
    esac
    mkdir "$cluster_folder/state"
    cat >"$cluster_folder/slurm.conf" <<END
ClusterName=test
SlurmctldHost=localhost($address)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SrunPortRange=$((port + 100))-$((port + 300))
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$cluster_folder/munge/socket,cred_expire=5
CryptoType=crypto/munge
StateSaveLocation=$cluster_folder/state
SlurmdSpoolDir=$cluster_folder/spool-%n
SlurmctldPidFile=$cluster_folder/slurmctld.pid
SlurmdPidFile=$cluster_folder/slurmd-%n.pid
SlurmctldLogFile=$cluster_folder/slurmctld.log
SlurmdLogFile=$cluster_folder/slurmd-%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=$selected
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
$bind
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
KillWait=5
MinJobAge=600
SchedulerParameters=sched_interval=1,batch_sched_delay=0
$gpus
$node NodeHostname=localhost NodeAddr=$address State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
    # Nothing here needs cgroups; newer versions can do without where there are none.
    mountpoint -q /sys/fs/cgroup || echo "CgroupPlugin=disabled" >"$cluster_folder/cgroup.conf"
    export SLURM_CONF=$cluster_folder/slurm.conf
    timeout 600 slurmctld -D </dev/null >"$cluster_folder/slurmctld.out" 2>&1 &
    cluster_pids+=($!)
    for node in $nodes; do
        mkdir "$cluster_folder/spool-$node"
        timeout 600 slurmd -D -N "$node" </dev/null >"$cluster_folder/slurmd-$node.out" 2>&1 &
        cluster_pids+=($!)
    done
    local pid until=$((SECONDS + 30))
    while [ $SECONDS -lt $until ]; do
        [ "$(timeout 5 sinfo -h -N -o %T 2>/dev/null | grep -c idle)" = "$(wc -w <<<"$nodes")" ] && return 0
        for pid in "${cluster_pids[@]}"; do kill -0 "$pid" 2>/dev/null || break 2; done # one has ended
        sleep 0.2
    done
    cluster_why="its Slurm does not answer: $(tail -qn 2 "$cluster_folder"/*.out 2>/dev/null | tr '\n' ' ')"
    return 1
}

cluster_stop() {
    local pid
    [ -n "$cluster_folder" ] || return 0
    timeout 3 scancel --full -s KILL -u root >/dev/null 2>&1
    timeout 3 scancel -u root >/dev/null 2>&1
    # slurmd first: a step daemon ends with its job.
    for ((pid = ${#cluster_pids[@]} - 1; pid >= 0; pid--)); do kill "${cluster_pids[$pid]}" 2>/dev/null; done
    for pid in "${cluster_pids[@]}"; do wait "$pid" 2>/dev/null; done
    rm -rf "$cluster_folder"
    cluster_folder="" cluster_pids=()
}

# cluster_wait JOB SECONDS PATTERN: until the job's state matches; prints the state.
cluster_wait() {
    local state until=$((SECONDS + $2))
    while [ $SECONDS -lt $until ]; do
        state=$(timeout 20 scontrol show job -o "$1" 2>/dev/null | sed -n 's/.* JobState=\([A-Z_]*\).*/\1/p')
        [[ $state =~ ^($3)$ ]] && echo "$state" && return 0
        sleep 0.2
    done
    echo "${state:-unknown}"
    return 1
}

# ---- what its tests say ----
failures=0
check() { # NAME EXPECTED ACTUAL [LOG]
    if [ "$2" = "$3" ]; then
        echo "ok - $1"
    else
        failures=$((failures + 1))
        echo "not ok - $1: expected \"$2\", got \"$3\""
        [ -n "${4:-}" ] && tail -20 "$4" | sed 's/^/# /'
    fi
}
# Polls until the command succeeds.
until_true() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    while ! "$@"; do
        [ $SECONDS -ge $end ] && return 1
        sleep 0.2
    done
}
