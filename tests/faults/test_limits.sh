#!/usr/bin/env bash
# What the shell or the cluster allows: cores, memory, threads. Whatever it is, every command ends, and what is too little is one clear line.
# timeout: 300
set -u
MAPPO=${MAPPO:-build/mappo}
MAPPO=$(cd "$(dirname "$MAPPO")" && pwd)/$(basename "$MAPPO")
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
cd "$WORK" || exit 1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 NO_COLOR=1
unset OMP_NUM_THREADS SLURM_CPUS_PER_TASK OMP_PROC_BIND OMP_PLACES GOMP_CPU_AFFINITY KMP_AFFINITY GOMP_SPINCOUNT OMP_WAIT_POLICY OMP_STACKSIZE OMP_DYNAMIC OMP_THREAD_LIMIT
failed=0
check() { # NAME EXPECTED ACTUAL
    if [ "$2" = "$3" ]; then echo "ok - $1"; else failed=1 && echo "not ok - $1: expected \"$2\", got \"$3\""; fi
}
small=(rollout.envs=4 rollout.steps=5 policy.hidden=16 ppo.epochs=1 eval.env_steps=0)
train() { timeout 100 "$MAPPO" "${small[@]}" "$@" >"$WORK/out" 2>"$WORK/err"; }

# ---- cores: variables that bind OpenMP's threads ----
masks() { env "$@" "$MAPPO" doctor --json run="$WORK/r" 2>/dev/null | sed -n 's/.*"cpus":"\([^"]*\)".*/\1/p'; }
plain=$(masks)
if [ "$(nproc)" -gt 1 ]; then
    for setting in OMP_PROC_BIND=close OMP_PROC_BIND=true OMP_PLACES=cores GOMP_CPU_AFFINITY=0 "OMP_PROC_BIND=spread GOMP_SPINCOUNT=100" \
        "OMP_PLACES=threads OMP_WAIT_POLICY=passive"; do
        # shellcheck disable=SC2086
        check "all_permitted_cores_are_used_with_${setting// /_and_}" "$plain" "$(masks $setting)"
    done
    mask=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)
    one=${mask%%[-,]*}
    check "the_mask_that_taskset_gives_stays" "$one" "$(masks OMP_PROC_BIND=close taskset -c "$one")"
    # The threads of a run: all of them, while it trains.
    (export OMP_PROC_BIND=close OMP_PLACES=cores OMP_NUM_THREADS=2 && exec "$MAPPO" "${small[@]}" run=bound train.env_steps=1e9 >"$WORK/out" 2>&1) &
    run=$!
    for _ in $(seq 600); do [ -s bound/metrics.jsonl ] && break; sleep 0.1; done
    check "every_thread_of_a_run_may_use_every_core" "$mask" "$(cat "/proc/$run"/task/*/status | sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' | sort -u | tr '\n' ' ' | sed 's/ $//')"
    kill -TERM $run
    wait $run
    check "and_the_log_says_that_the_variables_are_ignored" 1 "$(grep -c 'OMP_PROC_BIND=close OMP_PLACES=cores: ignored' bound/log.txt)"
    check "nobody_is_blamed_for_a_binding_that_is_none" 0 "$(grep -c taskset bound/log.txt)"
else
    echo "ok - all_permitted_cores_are_used # SKIP one core"
fi

# ---- cores: variables that make OpenMP start fewer threads than a run was told ----
counted() { sed -n 's/.* x \([0-9]*\) threads\{0,1\} (\(.*\)); .*/\1 \2/p' "$WORK/out"; }
OMP_THREAD_LIMIT=2 train run=limit threads=3 train.env_steps=20
check "a_limit_on_threads_is_kept_and_said" "0 2 OMP_THREAD_LIMIT=2 1" "$? $(counted) $(grep -c 'threads=3, but OMP_THREAD_LIMIT=2: 2 threads' "$WORK/err")"
OMP_THREAD_LIMIT=3 train run=room threads=3 train.env_steps=20
check "a_limit_that_leaves_room_is_not_mentioned" "3 threads=3 0" "$(counted) $(grep -c OMP_THREAD_LIMIT "$WORK/err")"
OMP_DYNAMIC=true train run=dynamic threads=3 train.env_steps=20
check "as_many_threads_as_told_run_whatever_else_the_machine_does" "3 threads=3 1" "$(counted) $(grep -c 'OMP_DYNAMIC=true: ignored' "$WORK/out")"
if [ "$(nproc)" -gt 1 ]; then
    OMP_THREAD_LIMIT=1 "$MAPPO" doctor run="$WORK/r" >"$WORK/out" 2>/dev/null
    check "doctor_advises_to_unset_a_limit_on_threads" 1 "$(grep -c 'OMP_THREAD_LIMIT=1 leaves .* idle: unset it$' "$WORK/out")"
fi

# ---- memory ----
if ldd "$MAPPO" | grep -q libasan; then
    echo "ok - every_command_ends_under_a_limit_on_memory # SKIP a sanitizer needs more than any limit"
    exit $failed
fi
check "the_program_is_linked_with_no_library_that_starts_threads_of_its_own" 0 "$(ldd "$MAPPO" | grep -ciE 'blas|mkl|blis')"
train run=done train.env_steps=200
limited() { (ulimit -v "$1" && shift && timeout 60 "$@" >"$WORK/out" 2>"$WORK/err"); }
for command in --version --help envs doctor "docs metrics" "inspect done" "eval done episodes=4 threads=1" "train run=limited train.env_steps=200 ${small[*]} threads=1"; do
    # shellcheck disable=SC2086
    limited 200000 "$MAPPO" $command
    check "${command%% *}_ends_under_a_limit_on_memory" 0 $?
done
bad="" loaded=$(($(size "$MAPPO" | awk 'NR == 2 { print $4 }') / 1024)) # kB: with kernels for several GPUs it is large
for limit in 30000 45000 60000 80000 100000; do
    for threads in 1 4 64; do
        rm -rf tight
        limited $limit "$MAPPO" "${small[@]}" run=tight train.env_steps=200 threads=$threads
        code=$?
        [ $code = 0 ] && [ ! -s "$WORK/err" ] && continue
        # A program that can't even be loaded is the loader's to report; one that is itself larger than the limit, the system kills.
        [ $code = 127 ] && continue
        [ $code = 139 ] && [ $limit -lt "$loaded" ] && continue
        # shellcheck disable=SC2015
        [ $code = 2 ] && [ "$(wc -l <"$WORK/err")" = 1 ] && grep -q '^mappo: ' "$WORK/err" && [ ! -e tight ] || bad+="$limit kB, $threads threads: $code $(head -c 300 "$WORK/err"); "
    done
done
check "a_limit_that_is_too_small_is_one_clear_line_before_anything_is_written" "" "$bad"
limited $((loaded + 98000)) "$MAPPO" "${small[@]}" run=many train.env_steps=200 threads=64
check "and_says_how_many_threads_there_is_room_for" 1 "$(grep -c "64 threads .* can't be started: .*(threads=[1-9][0-9]* at most)" "$WORK/err")"
OMP_STACKSIZE=1000G train run=stack train.env_steps=200 threads=4
check "stacks_that_are_too_large_are_one_line_too" "2 1" "$? $(grep -c OMP_STACKSIZE "$WORK/err")"
limited 400000 "$MAPPO" run=large rollout.envs=60000 threads=1
check "the_limit_is_named_where_the_rollout_does_not_fit" 1 "$(grep -c 'rollout needs at least .* that this process may have (ulimit -v)' "$WORK/err")"

# ---- what bench compares with ----
bench() { timeout 100 "$MAPPO" bench rollout.envs=4 rollout.steps=2 policy.hidden=16 ppo.epochs=1 threads=1 >"$WORK/out" 2>"$WORK/err"; }
bench
check "bench_measures_recurrent_networks_and_maddpg_beside" "1 1" "$(grep -c '^gru  ' "$WORK/out") $(grep -c '^maddpg  ' "$WORK/out")"
check "bench_says_what_it_compares_with_or_that_there_is_none" 1 "$(grep -cE '^(CBLAS: .|no CBLAS to compare with: .)' "$WORK/out")"
exit $failed
