#!/usr/bin/env bash
# The Makefile: what it makes again, what it says, what it installs.
# slow
# timeout: 900
set -u
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d --suffix=.mappo-build) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
check() { # NAME EXPECTED ACTUAL
    if [ "$2" = "$3" ]; then
        echo "ok - $1"
    else
        failed=1
        echo "not ok - $1: expected \"$2\", got \"$3\""
    fi
}
unset MAKEFLAGS MAKELEVEL MAKEOVERRIDES CFLAGS CPPFLAGS LDFLAGS

# ---- incremental builds, on a copy of one small module ----
tree=$work/tree
mkdir -p "$tree/src" "$tree/scripts"
cp Makefile "$tree/" && cp scripts/probe.sh "$tree/scripts/" && cp -r src/base "$tree/src/"
tree_make() { env -u BUILD -u CUDA_ARCH make -C "$tree" "$@"; } # not in the folder, or for the architecture, of the tests
object=build/obj/src/base/text.o
compiled() { tree_make --no-print-directory "$@" $object build/obj/src/base/arena.o 2>&1 | grep -c '^  cc '; }
check "a_first_build_compiles" 2 "$(compiled)"
check "an_unchanged_tree_compiles_nothing" 0 "$(compiled)"
touch "$tree/src/base/text.h"
check "a_changed_header_compiles_what_includes_it" 1 "$(compiled)"
check "other_flags_compile_again" 2 "$(compiled CFLAGS=-DX)"
check "the_same_flags_do_not" 0 "$(compiled CFLAGS=-DX)"
stamps() { cat "$tree"/build/members "$tree"/build/obj/flags | cksum; }
before=$(stamps)
tree_make -s help >/dev/null
tree_make -s -n aarch64 ARM_CC=nosuch >/dev/null 2>&1
check "goals_that_need_no_libraries_leave_stamps_as_they_are" "$before" "$(stamps)"
mkdir -p "$tree/src/comm" && printf '#ifdef HAVE_MPI\n#endif\nint one;\n' >"$tree/src/comm/one.c"
other() { compiled CFLAGS=-DX MPI=0 BUILD=build/other OBJ=build/obj build/other/obj/src/comm/one.o; }
check "a_build_without_mpi_compiles_only_what_knows_of_it" "1 0 0" "$(other) $(other) $(compiled CFLAGS=-DX)"
check "DEBUG_compiles_again" 2 "$(compiled DEBUG=1)"
check "the_probe_ran_once_for_one_set_of_choices" 0 "$(tree_make DEBUG=1 $object 2>&1 | grep -c 'what this machine offers')"
check "another_choice_of_libraries_probes_again" 1 "$(tree_make DEBUG=1 MPI=0 $object 2>&1 | grep -c 'what this machine offers')"
mkdir -p "$work/late/include"
probes() { tree_make DEPS="$work/late" $object 2>&1 | grep -c 'what this machine offers'; }
check "a_library_that_arrives_later_is_looked_for_again" "1 0 1" "$(probes) $(probes) $(touch "$work/late/include/cmocka.h" && probes)"

# ---- kernels are compiled once, by a stand-in for nvcc that notes what it compiles ----
mkdir -p "$work/toolkit/bin" "$work/toolkit/lib64" "$tree/cuda"
touch "$work/toolkit/lib64/libcudart_static.a"
cat >"$work/toolkit/bin/nvcc" <<'END'
#!/bin/bash
case " $* " in
*" --version "*) echo "Cuda compilation tools, release 12.4, V12.4.99" && exit ;;
*" --list-gpu-arch "*) printf 'compute_%s\n' 70 80 90 && exit ;;
esac
for source; do :; done
case " $* " in
*" -M "*) options=(-M -MP) ;;
*) options=(-c) && echo "$*" >>"${0%/*}/compiled" ;;
esac
while [ $# -gt 0 ]; do
    case $1 in
    -o | -MT | -MF) options+=("$1" "$2") && shift ;;
    -I*) options+=("$1") ;;
    esac
    shift
done
exec g++ -x c++ -D__global__= "${options[@]}" "$source"
END
chmod +x "$work/toolkit/bin/nvcc"
cp scripts/compile_once.sh "$tree/scripts/"
echo 'int one_more;' >"$tree/cuda/one.h"
printf '#include "cuda/one.h"\nint one;\n' >"$tree/cuda/one.cu"
echo 'int two;' >"$tree/cuda/two.cu"
# What make had the stand-in compile: numbers of kernel files, then of notices.
kernels() {
    : >"$work/toolkit/bin/compiled"
    tree_make --no-print-directory NVCC="$work/toolkit/bin/nvcc" CUDA=1 "$@" cuda-objects >"$work/log" 2>&1
    echo "$? $(grep -c ' cuda/' "$work/toolkit/bin/compiled") $(grep -c '^mappo: compiling kernels' "$work/log")"
}
check "kernels_are_compiled_and_the_user_is_told_once" "0 2 1" "$(kernels)"
check "with_how_long_it_takes_and_how_to_have_less" yes \
    "$(grep -qE 'for 70 80 90 takes about [0-9]+ minutes on [0-9]+ cores.*CUDA_ARCH=native.*CUDA_ARCH=90;.*CUDA=0' "$work/log" && echo yes || cat "$work/log")"
check "each_architecture_gets_code_and_later_ones_text" yes "$(grep -qE -- '-gencode arch=compute_70,code=sm_70 -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=sm_90 -gencode arch=compute_80,code=compute_80 ' "$work/toolkit/bin/compiled" && echo yes || cat "$work/toolkit/bin/compiled")"
check "an_unchanged_tree_compiles_no_kernel" "0 0 0" "$(kernels)"
check "nor_does_another_build_folder" "0 0 0" "$(kernels BUILD=build/other)"
check "whose_objects_are_there_with_what_the_compiler_said" yes "$([ -s "$tree/build/other/obj/cuda/one.cu.o" ] && [ -f "$tree/build/other/obj/cuda/two.cu.o.log" ] && echo yes)"
check "nor_do_other_flags_of_the_c_compiler" "0 0 0" "$(kernels CFLAGS=-DX DEBUG=1)"
check "nor_a_file_that_is_only_newer" "0 0 0" "$(touch "$tree/cuda/one.h" "$tree/cuda/two.cu" && kernels)"
echo 'int one_more_still;' >"$tree/cuda/one.h"
check "a_changed_header_compiles_the_kernels_that_include_it" "0 1 1" "$(kernels)"
echo 'int one_more;' >"$tree/cuda/one.h"
check "and_changed_back_none" "0 0 0" "$(kernels)"
check "another_architecture_compiles_all" "0 2 1" "$(kernels CUDA_ARCH=90)"
check "and_the_usual_ones_again_none" "0 0 0" "$(kernels)"
check "after_make_clean_none" "0 0 0" "$(tree_make -s clean && kernels)"
check "nothing_is_kept_where_nothing_shall_be" "0 1 1" "$(touch "$tree/cuda/two.cu" && kernels CUDA_KEPT=)"
echo 'int two' >"$tree/cuda/two.cu"
check "what_does_not_compile_fails_and_says_why" "2 yes no" \
    "$(kernels | cut -d' ' -f1) $(grep -q 'two.cu.*error' "$work/log" && echo yes) $([ -e "$tree/build/obj/cuda/two.cu.o" ] && echo yes || echo no)"
for i in 1 2 3 4 5 6 7 8; do echo "int two_$i;" >"$tree/cuda/two.cu" && kernels >/dev/null; done
check "and_only_so_many_versions_are_kept" "6 6" "$(find "$tree/.cuda-objects" -name 'cuda-two-*.o' | wc -l) $(find "$tree/.cuda-objects" -name 'cuda-two-*.log' | wc -l)"

# ---- what is missing is named ----
out=$(make BUILD="$work/a" BLAS=nosuch 2>&1)
check "an_unknown_blas_is_refused" "2 yes" "$? $(grep -q 'BLAS=nosuch is not one of openblas' <<<"$out" && echo yes)"
out=$(make BUILD="$work/a" BLAS=none "$work/a/config.mk" 2>&1 && grep -c '^BLAS_FILE := *$' "$work/a/config.mk")
check "no_blas_can_be_chosen" 1 "$(tail -1 <<<"$out")"
cat >"$work/blas.c" <<'END'
#include "cmd/bench_blas.h"
#include <stdio.h>
int main(void) { struct blas blas; blas_open(&blas); return blas_rate(&blas, 8) != 0 || puts(blas.why) < 0; }
END
gcc -D_GNU_SOURCE -Isrc -DMAPPO_BLAS='"libnosuch.so.0"' -o "$work/blas" "$work/blas.c" src/cmd/bench_blas.c src/base/text.c src/base/clock.c src/base/check.c -ldl -lm >"$work/log" 2>&1
check "a_blas_that_is_gone_since_is_named" 1 "$("$work/blas" | grep -c libnosuch.so.0 || tail -1 "$work/log")"
mkdir "$work/bin"
cat >"$work/bin/cc" <<'END'
#!/bin/sh
for a; do [ "$a" = -linih ] && exit 1; done
exec gcc "$@"
END
chmod +x "$work/bin/cc"
out=$(make BUILD="$work/b" CC="$work/bin/cc" 2>&1)
check "a_missing_library_is_named_with_its_packages" "2 yes" "$? $(grep -q 'inih .*apt: libinih-dev .*dnf: inih-devel .*conda: libinih .*Spack: inih' <<<"$out" && echo yes)"
check "and_nothing_is_left_that_a_later_build_would_use" no "$([ -e "$work/b/config.mk" ] && echo yes || echo no)"

# ---- libraries in folders of their own get an rpath ----
mkdir -p "$work/deps/include" "$work/deps/lib"
printf '#define INI_H\nint ini_parse(const char *, int (*)(void *, const char *, const char *, const char *), void *);\n' >"$work/deps/include/ini.h"
printf 'int ini_parse(const char *f, int (*h)(void *, const char *, const char *, const char *), void *u) { (void)f; (void)h; (void)u; return 0; }\n' >"$work/ini.c"
gcc -shared -fPIC -Wl,-soname,libinih.so.77 -o "$work/deps/lib/libinih.so.77" "$work/ini.c" && ln -s libinih.so.77 "$work/deps/lib/libinih.so"
make BUILD="$work/c" DEPS="$work/deps" "$work/c/config.mk" >"$work/log" 2>&1
check "folders_outside_the_system_are_in_the_rpath" yes "$(grep -q "^DEP_LIBS := .*-Wl,-rpath,$work/deps/lib" "$work/c/config.mk" && echo yes || tail -1 "$work/log")"

# ---- install ----
make -s install DESTDIR="$work/dest" PREFIX=/opt/mappo >"$work/log" 2>&1
check "install_succeeds" 0 $?
check "the_installed_program_runs" 0 "$("$work/dest/opt/mappo/bin/mappo" --version >/dev/null 2>&1; echo $?)"
flags=$(PKG_CONFIG_PATH=$work/dest/opt/mappo/lib/pkgconfig pkg-config --define-variable=prefix="$work/dest/opt/mappo" --cflags mappo 2>&1)
make -s install DESTDIR="$work/it's a folder" PREFIX="/opt/my apps" >"$work/log" 2>&1
check "install_takes_folders_with_blanks" "0 0" "$? $("$work/it's a folder/opt/my apps/bin/mappo" --version >/dev/null 2>&1; echo $?)"
# shellcheck disable=SC2086
gcc -shared -fPIC $flags -o "$work/plugin.so" -x c - <envs/template/meeting.c 2>"$work/log" # from a pipe: no header beside it helps
check "a_plugin_compiles_with_what_pkg_config_says" 0 $?
check "the_modulefile_names_the_prefix" yes "$(grep -qx 'set prefix /opt/mappo' "$work"/dest/opt/mappo/share/modulefiles/mappo/* && echo yes)"
check "the_installed_slurm_script_finds_the_installed_program" yes \
    "$(cd "$work" && env -u MAPPO PATH=/usr/bin:/bin SLURM_JOB_ID=1 bash dest/opt/mappo/share/mappo/slurm/train.sh envs nosuch 2>&1 | grep -q 'no program' && echo no || echo yes)"

# ---- the other processor ----
if command -v aarch64-linux-gnu-gcc >/dev/null 2>&1; then
    # Kept: what has not changed is not compiled again.
    make -s -j2 aarch64 >"$work/log" 2>&1
    check "everything_that_needs_no_library_compiles_for_arm" 0 $?
    [ $failed = 1 ] && grep -E 'error|warning' "$work/log" | head -5 | sed 's/^/# /'
    for program in "${BUILD:-build}"/aarch64/*; do
        { [ -f "$program" ] && [ -x "$program" ]; } || continue
        if command -v qemu-aarch64 >/dev/null 2>&1; then
            timeout 120 qemu-aarch64 "$program" >"$work/log" 2>&1
            check "$(basename "$program")_passes_under_the_emulator" 0 $?
            grep -E '^not ok' "$work/log" | head -5 | sed 's/^/# /'
        else
            echo "ok - $(basename "$program")_passes_under_the_emulator # SKIP needs qemu-aarch64"
        fi
    done
else
    echo "ok - everything_that_needs_no_library_compiles_for_arm # SKIP needs aarch64-linux-gnu-gcc"
fi
exit $failed
