#!/usr/bin/env bash
# The two first commands of the README, as far as a machine that is already set up can show: quickstart.sh in short, and what setup.sh says
# where it may not install; every script answers --help and mistakes at once.
# slow
# timeout: 300
set -u
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d --suffix=.mappo-quickstart) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
check() { # NAME EXPECTED ACTUAL [LOG]
    if [ "$2" = "$3" ]; then
        echo "ok - $1"
    else
        failed=1
        echo "not ok - $1: expected \"$2\", got \"$3\""
        [ -n "${4:-}" ] && tail -20 "$4" | sed 's/^/# /'
    fi
}
unset MAKEFLAGS MAKELEVEL MAKEOVERRIDES
# What is built stays as it is: other architectures would be compiled again.
CUDA_ARCH=${CUDA_ARCH:-$(sed -n 's/^CUDA_ARCHES *:= *//p' "${BUILD:-build}/config.mk" 2>/dev/null)}
export CUDA_ARCH
[ -z "$CUDA_ARCH" ] && export CUDA=0
mkdir "$work/bin"
say() { # NAME LINES...: a stand-in for a program
    { echo '#!/bin/sh' && printf '%s\n' "${@:2}"; } >"$work/bin/$1"
    chmod +x "$work/bin/$1"
}
say sinfo 'exit 1' # a machine on which Slurm is installed, but no cluster answers
run=$work/run

PATH=$work/bin:$PATH scripts/quickstart.sh train.env_steps=20000 "run=$run" >"$work/log" 2>&1
check "quickstart_succeeds" 0 $? "$work/log"
for row in "random actions" "scripted player" "trained, while exploring" "trained, best action"; do
    check "quickstart_prints (${row})" yes "$(grep -qE "^  $row +-[0-9]+\.[0-9]" "$work/log" && echo yes)" "$work/log"
done
check "quickstart_names_the_rules" yes "$(grep -q 'mpe/simple_spread, on-policy rules: mean return' "$work/log" && echo yes)" "$work/log"
for file in metrics.jsonl latest.h5 episode.svg report.html; do
    check "quickstart_names_files_that_exist ($file)" yes "$(grep -q "$run/$file" "$work/log" && [ -s "$run/$file" ] && echo yes)" "$work/log"
done

PATH=$work/bin:$PATH scripts/quickstart.sh train.env_steps=20000 "run=$run" >"$work/log" 2>&1
check "a_finished_run_only_shows_its_results" "0 1 0" "$? $(grep -c 'is finished: ' "$work/log") $(grep -c 'trained now' "$work/log")" "$work/log"

say make 'exit 0' # all is built, and from here it would be built anew below other tests
mkdir "$work/clone" # of links: runs of several seeds lie in its runs/
for file in *; do [ "$file" = runs ] || ln -s "$PWD/$file" "$work/clone/$file"; done
PATH=$work/bin:$PATH "$work/clone/scripts/quickstart.sh" seeds=1-2 env=matrix/penalty train.env_steps=2000 rollout.envs=4 >"$work/log" 2>&1
check "of_several_seeds_all_are_in_the_report" "0 yes yes" \
    "$? $(grep -q 'curves of all 2 seeds' "$work/log" && echo yes) $(grep -qE '^  all seeds +.*mappo report runs/[^ ]*-s1[^ ]* runs/[^ ]*-s2[^ ]* out=seeds.html' "$work/log" && echo yes)" "$work/log"
rm -f "$work/bin/make"

# ---- any environment, any folder ----
PATH=$work/bin:$PATH scripts/quickstart.sh env=classic/CartPole-v1 env.max_episode_steps=100 "run=$work/pole" >"$work/log" 2>&1
check "an_environment_is_trained_as_long_as_its_preset_says" "0 yes" "$? $(grep -q '^  run  .* (201 k environment steps; trained now' "$work/log" && echo yes)" "$work/log"
check "and_learns" yes "$(grep -qE '^  trained, best action +(100\.0|9[5-9]\..)' "$work/log" && echo yes)" "$work/log"
check "under_its_own_rules_and_words" "yes 0" "$(grep -q '^classic/CartPole-v1, gymnasium rules: ' "$work/log" && echo yes) $(grep -cE 'on-policy|reference|train.env_steps=(6|20)000000' "$work/log")" "$work/log"
PATH=$work/bin:$PATH scripts/quickstart.sh env=simple_tag train.max_seconds=1 "run=$work/tag" >"$work/log" 2>&1
check "a_limit_in_seconds_ends_in_results" "0 1" "$? $(grep -c 'train.max_seconds=1 is over' "$work/log")" "$work/log"
check "each_group_has_its_rows" "adversary 3 agent 3" "$(awk '/^(adversary|agent)$/ { group = $1 } /^  (random|scripted|trained, best).*±/ { n[group]++ } END { print "adversary", n["adversary"], "agent", n["agent"] }' "$work/log")" "$work/log"
check "the_line_that_trains_on_has_no_such_limit" "yes 0" "$(grep -qF "train on       ${BUILD:-build}/mappo env=simple_tag run=$work/tag train.env_steps=2000000" "$work/log" && echo yes) $(grep -c '^  train on.*max_seconds' "$work/log")" "$work/log"
odd="$work/it's a \$HOME folder/run 1"
mkdir "${odd%/*}"
PATH=$work/bin:$PATH scripts/quickstart.sh env=test/kitchen_sink train.env_steps=2000 rollout.envs=4 "run=$odd" >"$work/log" 2>&1
check "another_environment_is_taken" 0 $? "$work/log"
check "its_players_are_compared (trained)" yes "$(grep -qE '^  trained, best action +-?[0-9.]+ +±' "$work/log" && echo yes)" "$work/log"
check "and_its_files_named" yes "$(grep -qF "$odd/metrics.jsonl" "$work/log" && [ -s "$odd/latest.h5" ] && echo yes)" "$work/log"
line=$(sed -n 's/^  train on *//p' "$work/log")
check "the_line_that_trains_on_can_be_pasted" "[env=test/kitchen_sink] [rollout.envs=4] [run=$odd] [train.env_steps=4000]" "$(bash -c "printf '[%s] ' $line" | sed 's/^\[[^]]*\] //; s/ $//')" "$work/log"
if [ -f "${BUILD:-build}/tests/meeting.so" ]; then
    cp "${BUILD:-build}/tests/meeting.so" "$work/my plugin.so"
    PATH=$work/bin:$PATH scripts/quickstart.sh "env=$work/my plugin.so" train.env_steps=2000 rollout.envs=4 "run=$work/plugin run" >"$work/log" 2>&1
    check "a_plugin_is_taken" "0 yes" "$? $(grep -qE '^  trained, best action +-?[0-9.]+ +±' "$work/log" && echo yes)" "$work/log"
fi
echo "ppo.cliprange = 1" >"$work/mine.ini"
clone=$PWD
(cd "$work" && "$clone/scripts/quickstart.sh" --config mine.ini) >"$work/log" 2>&1
check "files_are_named_from_where_the_command_is_typed" "2 yes" "$? $(grep -qF "$work/mine.ini" "$work/log" && echo yes)" "$work/log"
(cd "$work" && "$clone/scripts/quickstart.sh" env=./none.so) >"$work/log" 2>&1
check "so_are_plugins" "2 yes" "$? $(grep -qF "$work/none.so" "$work/log" && echo yes)" "$work/log"
before=$(find "$work" | sort)
PATH=$work/bin:$PATH scripts/quickstart.sh ppo.cliprange=0.1 "run=$work/none" >"$work/log.refused" 2>&1
check "settings_are_refused_before_training" "2 yes no" "$? $(grep -q 'did you mean "ppo.clip"' "$work/log.refused" && echo yes) $([ -e "$work/none" ] && echo made || echo no)" "$work/log.refused"
rm -f "$work/log.refused"
check "and_nothing_is_left" "$before" "$(find "$work" | sort)"

# ---- help and mistakes are answered at once, by every script ----
say make "echo called >>$work/make"
say apt-get "echo called >>$work/make"
for script in scripts/*.sh scripts/*.py .ci/run slurm/train.sh slurm/sweep.sh slurm/scaling.sh tests/run.sh; do
    [ -x "$script" ] || continue # a module
    PATH=$work/bin:$PATH timeout 20 "$script" --help >"$work/log" 2>&1 </dev/null
    check "help_is_printed ($script)" "0 yes" "$? $(grep -q "$(basename "$script" .py | sed 's/^run$/test/')" "$work/log" && echo yes)" "$work/log"
    for shell in sh "bash --posix"; do # before the script's first line that only bash understands
        [[ $script == *.sh ]] || continue
        PATH=$work/bin:$PATH timeout 20 $shell "$script" --help >"$work/log" 2>&1 </dev/null
        check "so_it_is_by_another_shell ($shell $script)" "0 0" "$? $(grep -c 'yntax error' "$work/log")" "$work/log"
    done
    case $script in slurm/*) continue ;; esac # their options are the program's
    PATH=$work/bin:$PATH timeout 20 "$script" --nosuch >"$work/log" 2>&1 </dev/null
    check "an_unknown_option_is_refused ($script)" "2 yes" "$? $([ -s "$work/log" ] && echo yes)" "$work/log"
done
PATH=$work/bin:$PATH timeout 20 scripts/test.sh nosuchtest >"$work/log" 2>&1
check "a_test_that_is_not_there_is_refused_before_building" 2 $? "$work/log"
check "nothing_was_built_or_installed_for_that" no "$([ -e "$work/make" ] && echo yes || echo no)"
say make 'echo "make builds in $BUILD"; exit 2'
env -u BUILD PATH="$work/bin:$PATH" timeout 60 scripts/test.sh scripts/test_run >"$work/log" 2>&1 </dev/null
check "tests_are_built_in_a_folder_of_their_own" "1 1 1" "$? $(grep -c '^make builds in build/test$' "$work/log") $(grep -c '^0 passed, 1 failed, 0 skipped$' "$work/log")" "$work/log"
rm -f "$work/bin/make" "$work/bin/apt-get"

# ---- while it builds ----
# shellcheck disable=SC2016
say make 'echo "  cc  $BUILD/obj/a.o"; echo "  cc  $BUILD/obj/b.o"; echo "mappo: this takes a while"; sleep 12; echo "  ld  $BUILD/mappo"; exit 2'
(export BUILD=$work/b && PATH=$work/bin:$PATH timeout 60 scripts/quickstart.sh >"$work/log" 2>&1)
check "progress_is_shown_while_it_builds" "yes yes" "$(grep -qE '^2 files compiled, [0-9]+ s' "$work/log" && echo yes) $(grep -q '^this takes a while' "$work/log" && echo yes)" "$work/log"
check "a_build_that_fails_shows_its_log" "yes 3" "$(grep -q 'the build failed' "$work/log" && echo yes) $(grep -c "^  [cl][cd]  $work/b/" "$work/log")" "$work/log"
rm -f "$work/bin/make"

say sinfo 'echo up'
PATH=$work/bin:$PATH scripts/quickstart.sh seed=5 "run=$work/other" >"$work/log" 2>&1
check "on_a_login_node_it_prints_the_job_and_trains_nothing" "0 yes no" \
    "$? $(grep -q 'sbatch .*slurm/train.sh train.env_steps=6000000 env.rules=on-policy seed=5' "$work/log" && echo yes) $([ -e "$work/other" ] && echo trained || echo no)" "$work/log"
PATH=$work/bin:$PATH scripts/quickstart.sh env=hanabi "run=$work/other" >"$work/log" 2>&1
check "a_job_of_another_environment_has_its_own_steps_and_no_limit" yes "$(grep -qF "slurm/train.sh env=hanabi run=$work/other" "$work/log" && echo yes)" "$work/log"

# A user without rights: nothing installed by packages, no sudo.
say id 'echo 1000'
say sudo 'exit 1'
say dpkg-query 'exit 0'
say apt-get "echo called >>$work/apt" 'exit 1'
out=$(PATH=$work/bin:$PATH BUILD=$work/b BLAS=nosuch scripts/setup.sh 2>&1 </dev/null)
check "without_rights_setup_names_packages_and_stops" "2 yes yes yes yes" \
    "$? $(grep -q 'apt .*libhdf5-dev' <<<"$out" && echo yes) $(grep -q 'dnf .*hdf5-devel' <<<"$out" && echo yes) $(grep -q 'Spack .*hdf5' <<<"$out" && echo yes) $(grep -q 'modules ' <<<"$out" && echo yes)"
PATH=$work/bin:$PATH BUILD=$work/b scripts/setup.sh >"$work/log" 2>&1 </dev/null
check "libraries_that_are_there_by_other_means_are_enough" 0 $? "$work/log"
check "without_rights_nothing_is_installed" no "$([ -e "$work/apt" ] && echo called || echo no)"
check "archives_are_listed" yes "$(scripts/setup.sh --list | grep -q 'OpenBLAS-' && echo yes)"
mkdir "$work/empty"
scripts/setup.sh --prefix "$work/p" --from "$work/empty" >"$work/log" 2>&1
check "a_folder_without_archives_is_an_error" 2 $? "$work/log"
exit $failed
