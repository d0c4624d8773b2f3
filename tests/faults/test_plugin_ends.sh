#!/usr/bin/env bash
# An environment that ends or crashes the whole process is named, with the function it was in, and the exit code is 3 whatever it gave; what
# it changes for the whole process does not stay unseen.
# timeout: 300
set -u
MAPPO=${MAPPO:-build/mappo} BUILD=${BUILD:-build}
PLUGIN=$(cd "$BUILD/tests" && pwd)/plugin_that_ends.so
MAPPO=$(cd "$(dirname "$MAPPO")" && pwd)/$(basename "$MAPPO")
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
cd "$WORK" || exit 1
ulimit -c 0 # a core that is asked for is made, and the signal's own code given
failed=0
check() { # NAME EXPECTED ACTUAL
    if [ "$2" = "$3" ]; then echo "ok - $1"; else failed=1 && echo "not ok - $1: expected \"$2\", got \"$3\""; fi
}
small=(env="$PLUGIN" rollout.envs=8 rollout.steps=5 policy.hidden=16 ppo.epochs=1 eval.env_steps=0 train.env_steps=80)
told() { # PATTERN ARGUMENTS…: exit code, and how many lines of standard error say it
    local pattern=$1
    shift
    rm -rf run
    timeout 60 "$@" "${small[@]}" run=run >out 2>err
    echo "$? $(grep -cE "$pattern" err)"
}
for threads in 1 4; do
    for how in exit quick_exit; do
        check "${how}_in_a_step_is_an_error_with_${threads}_threads" "3 1" \
            "$(told 'environment "test/ends" ended the program in its step\(\) with exit\(\)' "$MAPPO" env.how=$how threads=$threads)"
    done
    for how in assert segv fpe ill bus overflow; do
        if [ $how != assert ] && ldd "$MAPPO" | grep -q libasan; then continue; fi # the sanitizer's own report
        check "${how}_in_a_step_names_environment_and_call_with_${threads}_threads" "3 1" \
            "$(told 'environment "test/ends" crashed in its step\(\) \(SIG(ABRT|SEGV|FPE|ILL|BUS),' "$MAPPO" env.how=$how threads=$threads)"
    done
done
check "exit_in_a_thread_of_its_own_is_an_error" "1 1" "$(told "a thread that is not this program.s own, .* ended it with exit" "$MAPPO" env.how=thread threads=1)"
told . "$MAPPO" env.how=assert >/dev/null
check "the_log_says_it_too" 1 "$(grep -c 'environment "test/ends" crashed in its step()' run/log.txt)"
for where in create reset snapshot; do
    check "exit_in_${where}_is_an_error" "3 1" "$(told "environment \"test/ends\" ended the program in its $where\(\)" "$MAPPO" env.where=$where)"
    check "a_crash_in_${where}_is_named" "3 1" "$(told "environment \"test/ends\" crashed in its $where\(\)" "$MAPPO" env.how=assert env.where=$where)"
done
hangs() { # WHERE PHASE THREADS
    check "a_${1}_that_never_ends_is_named_with_${3}_threads" "5 1" \
        "$(told "no sign of life for .* in phase \"$2\": environment \"test/ends\" is in its $1\(\);" "$MAPPO" env.how=hang env.where="$1" threads="$3" comm.watchdog_seconds=2)"
}
hangs create "opening environments and learner" 1
hangs reset "starting the environments" 1
hangs step "collecting a rollout" 1
hangs step "collecting a rollout" 4
small[0]=env=${PLUGIN%/*}/plugin_of_rules.so
check "rules_are_called_what_their_author_calls_them" "3 1" \
    "$(told 'environment "test/rules" ended the program in its rover_configure\(\) or rover_describe\(\) with exit\(\)' "$MAPPO" env.fault=exits_in_configure)"
# ---- what belongs to the whole process ----
ends=$PLUGIN PLUGIN=${PLUGIN%/*}/plugin_with_nonsense.so
small[0]=env=$PLUGIN
check "a_working_directory_that_create_leaves_is_an_error" "2 1" "$(told 'environment "test/nonsense": its create\(\) left another working directory' "$MAPPO" env.wrong=folder)"
ldd "$MAPPO" | grep -q libasan ||
    check "a_spec_that_points_nowhere_is_named" "3 1" "$(told 'environment "test/nonsense" crashed while its spec was read \(are its tables as long as infos and size say\?\) \(SIGSEGV' "$MAPPO" env.wrong=wild)"
check "and_nothing_was_written_there" no "$([ -e /run/config.ini ] && echo yes || echo no)"
if mkdir locales && localedef -i de_DE -f UTF-8 "$WORK/locales/de_DE.UTF-8" 2>/dev/null; then
    check "a_decimal_comma_that_create_sets_is_set_back" "0 1" "$(LC_ALL=de_DE.UTF-8 LOCPATH=$WORK/locales told 'its create\(\) set a locale with another decimal point' "$MAPPO" env.wrong=locale)"
    check "and_no_number_is_written_with_one" 0 "$(grep -cE '[0-9],[0-9]+[,}"]' run/metrics.jsonl)"
else
    echo "ok - a_decimal_comma_that_create_sets_is_set_back # SKIP no localedef, or no de_DE for it"
fi
small[0]=env=$ends
if command -v mpirun.openmpi >/dev/null && ldd "$MAPPO" | grep -q 'libmpi\.so'; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    check "ranks_end_together_with_3" 3 "$(told . mpirun.openmpi --quiet --oversubscribe --bind-to none -n 2 "$MAPPO" threads=1 | cut -d' ' -f1)"
    check "and_the_line_names_the_rank" yes "$(grep -qE 'mappo: rank [01] of 2: environment "test/ends" ended' err && echo yes)"
fi
exit $failed
