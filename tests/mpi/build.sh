# Sourced: builds tests/mpi/ranks.c with one MPI library (openmpi, mpich, none) into $WORK. Only what ranks need is compiled, so it takes seconds.
# Sets RANKS (program) and defines run_ranks N ARGUMENTS…; prints a SKIP line and ends where that library is not installed.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

choose_mpi() {
    MPI_NAME=$1
    case $1 in
    none) MPI_CC=${CC:-gcc} ;;
    *)
        MPI_CC=mpicc.$1 MPI_RUN=mpirun.$1
        # Elsewhere than on Debian the only MPI there is has no suffix.
        if ! command -v "$MPI_CC" >/dev/null; then
            case $1:$(mpirun --version 2>/dev/null) in
            openmpi:*"Open MPI"* | openmpi:*OpenRTE* | mpich:*HYDRA*) MPI_CC=mpicc MPI_RUN=mpirun ;;
            *) echo "ok - ranks_$1 # SKIP $MPI_CC is not installed"; exit 0 ;;
            esac
        fi
        ;;
    esac
}

build_ranks() {
    local define=-DHAVE_MPI
    [ "$MPI_NAME" = none ] && define=
    RANKS=$WORK/ranks-$MPI_NAME
    (cd "$ROOT" && "$MPI_CC" -std=c11 -D_GNU_SOURCE $define -fopenmp -Wall -Wextra -O1 -g -Isrc -o "$RANKS" src/comm/*.c src/run/stop.c src/base/{check,clock,event,text}.c \
        tests/mpi/ranks.c -lpthread -lm) || { echo "not ok - ranks_build_with_$MPI_NAME: compiler failed"; exit 1; }
}

# Open MPI counts cores as slots and binds; the tests want neither.
launcher_flags() { [ "$MPI_NAME" = openmpi ] && echo --quiet --oversubscribe --bind-to none; }

run_ranks() {
    local ranks=$1
    shift
    timeout 60 "$MPI_RUN" $(launcher_flags) -n "$ranks" "$RANKS" "$@"
}

failed=0
pass() { echo "ok - ${MPI_NAME}_$1"; }
fail() { echo "not ok - ${MPI_NAME}_$1: $2"; failed=1; }
# name, expected, got
expect() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "expected '$2', got '$3'"; fi; }
