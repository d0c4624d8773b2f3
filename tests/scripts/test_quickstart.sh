#!/usr/bin/env bash
# The two first commands of the README, as far as a machine that is already set up can show: quickstart.sh in short, and what setup.sh says
# where it may not install.
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
CUDA_ARCH=$(sed -n 's/^CUDA_ARCHES *:= *//p' "${BUILD:-build}/config.mk" 2>/dev/null)
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
for file in metrics.jsonl latest.h5 episode.svg; do
    check "quickstart_names_files_that_exist ($file)" yes "$(grep -q "$run/$file" "$work/log" && [ -s "$run/$file" ] && echo yes)" "$work/log"
done
if "${PYTHON:-python3}" -c 'import matplotlib' 2>/dev/null || /usr/bin/python3 -c 'import matplotlib' 2>/dev/null; then
    check "quickstart_draws_the_curve" yes "$([ -s "$run/curve.svg" ] && echo yes)" "$work/log"
else
    echo "ok - quickstart_draws_the_curve # SKIP needs matplotlib"
fi

say sinfo 'echo up'
PATH=$work/bin:$PATH scripts/quickstart.sh seed=5 "run=$work/other" >"$work/log" 2>&1
check "on_a_login_node_it_prints_the_job_and_trains_nothing" "0 yes no" \
    "$? $(grep -q 'sbatch .*slurm/train.sh env.rules=on-policy .*seed=5' "$work/log" && echo yes) $([ -e "$work/other" ] && echo trained || echo no)" "$work/log"

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
