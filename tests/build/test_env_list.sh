#!/usr/bin/env bash
# envs/envs.def and the files beside it: make stops at a line without its file and at a file without a line, and says which.
set -u
cd "$(dirname "$0")/../.." || exit 1
tree=$(mktemp -d --suffix=.mappo-list) || exit 1
trap 'rm -rf "$tree"' EXIT
failed=0
cp -r Makefile envs "$tree/"
ln -s "$PWD/src" "$PWD/cuda" "$PWD/scripts" "$tree/"
unset MAKEFLAGS MAKELEVEL MAKEOVERRIDES
# A goal that needs no libraries; nothing is compiled.
said() { env -u BUILD make -C "$tree" -n aarch64 ARM_CC=true 2>&1 | sed -n 's/.*\*\*\* //p'; }
is() { # NAME EXPECTED
    local got
    got=$(said)
    if [ "$got" = "$2" ]; then echo "ok - $1"; else echo "not ok - $1: expected \"$2\", got \"$got\"" && failed=1; fi
}
is list_and_files_agree ""
for file in mpe/other.c mpe/other.cu mpe/other.ini test/busy.cu other/simple_spread.c classic/cartpole.ini; do
    mkdir -p "$tree/envs/${file%/*}" && touch "$tree/envs/$file"
    is "${file//[\/.]/_}_needs_a_line" "mappo: no line of envs/envs.def is for envs/$file: add one, or take the file away.  Stop."
    rm "$tree/envs/$file"
done
for file in test/busy.c mpe/simple_spread.cu mpe/simple_spread.c classic/pendulum.cu; do
    mv "$tree/envs/$file" "$tree/aside"
    is "${file//[\/.]/_}_is_missed" "mappo: envs/envs.def lists an environment of envs/$file, which is not there.  Stop."
    mv "$tree/aside" "$tree/envs/$file"
done
# What is no environment: shared by a suite, a preset of a variant or one by name.
touch "$tree/envs/mpe/suite.c" "$tree/envs/mpe/suite.ini" "$tree/envs/test/single.ini" "$tree/envs/classic/MountainCar-v0.ini" "$tree/envs/classic/MountainCar-v0.maddpg.ini" "$tree/envs/classic/suite.ddpg.ini" "$tree/envs/presets/other.ini" "$tree/envs/template/other.c"
is what_belongs_to_environments_needs_no_line ""
# The last line of a file that is built in makes the descriptor of its name; else the compiler says what to write.
said() { env -u BUILD make -C "$tree" CUDA=0 build/obj/envs/test/busy.o 2>&1 | grep -o 'static assertion failed.*'; }
is a_last_line_of_its_name_compiles ""
for line in 'LANE_PLUGIN(' 'LANE_ENV(test_lazy, '; do
    sed "s/^LANE_ENV(test_busy, /$line/" envs/test/busy.c >"$tree/envs/test/busy.c"
    is "the_last_line_${line%%(*}_is_another" 'static assertion failed: "this file is built in: its last line is LANE_ENV(test_busy, ...); LANE_PLUGIN(...) is for a plugin"'
done
exit $failed
