#!/bin/bash
# A build without MPI: serves a single process, and says so where a launcher started several.
source "$(dirname "$0")/build.sh"
choose_mpi none
build_ranks

expect a_plain_start_is_one_rank 'rank 0 of 1, library none, launcher ""' "$("$RANKS")"
batch() { env SLURM_JOB_ID=7 SLURM_NTASKS=8 SLURM_PROCID=0 "$RANKS"; }
expect a_plain_start_in_a_batch_script_is_one_rank 'rank 0 of 1, library none, launcher ""' "$(batch)"
expect one_rank_under_mpirun_is_allowed 'rank 0 of 1, library none, launcher "mpirun (MPICH or Intel MPI)"' "$(env PMI_RANK=0 PMI_SIZE=1 "$RANKS")"

refused() { # name, launcher named, variables…
    local name=$1 launcher=$2 output status
    shift 2
    output=$(env "$@" "$RANKS" 2>&1)
    status=$?
    expect "$name" "5 1" "$status $(grep -c "mappo: started by $launcher, but this build has no MPI" <<<"$output")"
}
refused open_mpi_is_refused "Open MPI's mpirun" OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=4
refused hydra_is_refused 'mpirun (MPICH or Intel MPI)' PMI_RANK=0 PMI_SIZE=4
refused srun_is_refused srun SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=4
refused pmix_is_refused 'a PMIx launcher' PMIX_RANK=0
expect only_rank_0_prints "5 0" "$(env PMI_RANK=3 PMI_SIZE=4 "$RANKS" 2>"$WORK/err"; echo $? "$(wc -c <"$WORK/err")")"
expect mappo_mpi_0_allows_independent_processes 'rank 0 of 1, library none, launcher ""' "$(env PMI_RANK=3 PMI_SIZE=4 MAPPO_MPI=0 "$RANKS")"
env MAPPO_MPI=perhaps "$RANKS" 2>"$WORK/err"
expect a_garbled_mappo_mpi_is_a_usage_error 2 $?

for name in openmpi mpich; do
    command -v mpirun.$name >/dev/null || { echo "ok - none_mpirun_${name}_is_refused # SKIP mpirun.$name is not installed"; continue; }
    flags=
    [ $name = openmpi ] && flags="--quiet --oversubscribe"
    output=$(timeout 60 mpirun.$name $flags -n 3 "$RANKS" 2>&1)
    status=$?
    expect "mpirun_${name}_is_refused_in_one_line" "5 1" "$status $(grep -c 'mappo: .*this build has no MPI' <<<"$output")"
done
exit $failed
