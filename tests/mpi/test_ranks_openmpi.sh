#!/bin/bash
# Ranks under Open MPI.
source "$(dirname "$0")/build.sh"
choose_mpi openmpi
source "$ROOT/tests/mpi/promises.sh"

# The other library's mpirun starts as many single processes: that is said once, not trained many times.
if command -v mpirun.mpich >/dev/null; then
    output=$(timeout 60 mpirun.mpich -n 2 "$RANKS" 2>&1)
    status=$?
    expect another_librarys_mpirun_is_refused 5 $status
    expect the_refusal_is_one_line 1 "$(grep -c 'started 2 processes, but Open MPI .* sees only one' <<<"$output")"
else
    echo "ok - openmpi_another_librarys_mpirun_is_refused # SKIP MPICH is not installed"
fi
exit $failed
