#!/bin/bash
# Ranks under MPICH.
source "$(dirname "$0")/build.sh"
choose_mpi mpich
source "$ROOT/tests/mpi/promises.sh"
exit $failed
