#!/bin/bash
# `mappo doctor` says what a machine gives a run and what to mend.
MAPPO=${MAPPO:-build/mappo} PYTHON=${PYTHON:-python3}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
unset OMP_NUM_THREADS SLURM_CPUS_PER_TASK
failed=0
check() { # name, command…
    local name=$1
    shift
    if "$@" >"$WORK/check" 2>&1; then echo "ok - $name"; else echo "not ok - $name: $(tr '\n' '|' <"$WORK/out" | cut -c1-600) $(head -c 300 "$WORK/check")" && failed=1; fi
}
doctor() { "$MAPPO" doctor "$@" >"$WORK/out" 2>&1; }

doctor run="$WORK/new/run"; check doctor_ends_with_0 [ $? = 0 ]
check doctor_finds_the_nearest_folder grep -qF "measured in $WORK)" "$WORK/out"
PATH=/nowhere doctor run="$WORK/new/run"
check doctor_says_what_films_can_be_made grep -q '^films  *\.svg, \.txt.*; the others: .*apt: ' "$WORK/out"
check doctor_leaves_no_file [ -z "$(find "$WORK" -name '.mappo-doctor*' -o -name new)" ]
doctor run=/proc/nowhere
check doctor_says_where_nothing_can_be_written grep -q '^to mend .*/proc: .*run=FOLDER' "$WORK/out"
if [ "$(nproc)" -gt 1 ]; then
    taskset -c "$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')" "$MAPPO" doctor run="$WORK/run" >"$WORK/out" 2>&1
    check doctor_says_that_one_core_of_several_is_used grep -q '^to mend .*bound to 1 core beside ' "$WORK/out"
    OMP_NUM_THREADS=1 doctor run="$WORK/run"
    check doctor_hints_at_idle_cores grep -q 'OMP_NUM_THREADS=1 leaves .* idle' "$WORK/out"
else
    echo "ok - doctor_says_that_one_core_of_several_is_used # SKIP one core"
fi
doctor --json run="$WORK/run"
check doctor_json_is_an_object "$PYTHON" -c "import json; d = json.load(open('$WORK/out')); assert len(d['ranks']) == 1 and d['free_bytes'] > 0 and d['fsync_seconds'] > 0 and d['allreduce_56_kB_seconds'] is None"
doctor seeds=3
check doctor_refuses_unknown_keys [ $? = 2 ]

if command -v mpirun.openmpi >/dev/null && ldd "$MAPPO" | grep -q libmpi.so; then
    timeout 100 mpirun.openmpi --quiet --oversubscribe --bind-to none -n 3 "$MAPPO" doctor --json run="$WORK/run" >"$WORK/out" 2>"$WORK/err"
    check doctor_measures_messages_of_all_ranks "$PYTHON" -c "import json; d = json.load(open('$WORK/out')); assert len(d['ranks']) == 3 and d['allreduce_56_kB_seconds'] > 0 and 'mpirun' in d['launcher'], d"
    if [ "$(nproc)" -gt 1 ]; then
        timeout 100 mpirun.openmpi --quiet --bind-to core -n 1 "$MAPPO" doctor run="$WORK/run" >"$WORK/out" 2>"$WORK/err"
        check doctor_names_the_flag_that_unbinds grep -q '^to mend .*bound to 1 core beside .*mpirun --bind-to none' "$WORK/out"
    fi
else
    echo "ok - doctor_measures_messages_of_all_ranks # SKIP this program has no Open MPI"
fi
exit $failed
