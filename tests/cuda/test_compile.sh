#!/usr/bin/env bash
# Device code compiles, without warnings, for every architecture that `make` builds for. The fused kernels, which hold a whole network in
# registers and shared memory, spill nothing on those they were laid out for. Code for 10.0 and later is made from the text of 8.0: of it, the
# files are compiled in which instructions stand that no other text has, and an environment. Kernels of every environment, and those that
# docs/env-abi.md makes of the template, write within their arrays. Needs no GPU, and minutes only where device code has changed.
# slow
# timeout: 1800
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
cross=$build/cross
nvcc=$(sed -n 's/^NVCC_FOUND := //p' "$build/config.mk" 2>/dev/null)
if [ -z "$nvcc" ]; then
    echo "ok - device_code_compiles # SKIP needs nvcc"
    exit 0
fi
unset MAKEFLAGS MAKELEVEL MAKEOVERRIDES
if [ "${CUDA_ARCH:-}" = tested ]; then cross=$build; else export NVCC=$nvcc MPI=0 CUDA=1; fi # scripts/test.sh has built the first already
export CUDA_ENV_ARCH=${CUDA_ENV_ARCH:-none}
mkdir -p "$cross"
compile() { # FOLDER ARCHITECTURES GOALS...
    make -k -j"$(nproc 2>/dev/null || echo 2)" BUILD="$1" CUDA_ARCH="$2" "${@:3}" >"$1/compile.log" 2>&1
}
compile "$cross" tested cuda-objects
made=$?
failed=0
report=$cross/report
cat "$cross"/obj/cuda/*.cu.o.log "$cross"/obj/envs/*/*.cu.o.log 2>/dev/null | scripts/cuda_report.sh >"$report"
spills() { grep "^sm_$1 .*fused" "$report" | grep -vE ' 0 stack +0 spilled stores +0 loads'; }

arches=$(sed -n 's/^CUDA_ARCHES := //p' "$cross/config.mk" 2>/dev/null)
# What the compiler said is beside each object, whoever had it compiled.
bad=$(grep -hE '(error|fatal) *:|warning' "$cross/compile.log" "$cross"/obj/cuda/*.cu.o.log "$cross"/obj/envs/*/*.cu.o.log | head -5)
if [ $made = 0 ] && [ -n "$arches" ] && [ -z "$bad" ]; then
    for arch in $arches; do
        kernels=$(grep -c "^sm_$arch " "$report")
        # A report that is empty would pass anything.
        if [ "$kernels" -gt 0 ]; then echo "ok - device_code_compiles for sm_$arch ($kernels kernels)"; else failed=1 && echo "not ok - device_code_compiles for sm_$arch: no kernels"; fi
    done
else
    failed=1
    echo "not ok - device_code_compiles for${arches:+ }${arches:- any architecture}: make says $made: ${bad:-$(tail -3 "$cross/compile.log" | tr '\n' '|')}"
fi

for arch in 100 120; do
    "$nvcc" --list-gpu-arch 2>/dev/null | grep -qx "compute_$arch" && newest="${newest:+$newest }$arch"
done
if [ -n "${newest:-}" ]; then
    mkdir -p "$build/newest"
    compile "$build/newest" "$newest" "$build"/newest/obj/{cuda/gemm_kernels,cuda/mlp_fused,envs/test/kitchen_sink}.cu.o
    made=$?
    bad=$(grep -hE '(error|fatal) *:|warning' "$build/newest/compile.log" "$build"/newest/obj/*/*.cu.o.log "$build"/newest/obj/*/*/*.cu.o.log | head -5)
    if [ $made = 0 ] && [ -z "$bad" ]; then
        echo "ok - device_code_compiles for sm_${newest// / and sm_}"
    else
        failed=1
        echo "not ok - device_code_compiles for sm_${newest// / and sm_}: make says $made: ${bad:-$(tail -3 "$build/newest/compile.log" | tr '\n' '|')}"
    fi
else
    echo "ok - device_code_compiles for sm_100 and sm_120 # SKIP this nvcc does not know them"
fi

for arch in 80 90; do
    grep -qw "$arch" <<<"$arches" || continue
    # Two layers of at most 64 in float32 are what the figures of docs/benchmarks.md are about.
    main=$(grep "^sm_$arch .*fused_train_64x2_kernel<false, 4>" "$report")
    if [ -n "$main" ] && [ -z "$(spills "$arch")" ]; then
        echo "ok - fused_kernels_spill_nothing on sm_$arch ($(grep -c "^sm_$arch .*fused" "$report") kernels; fused_train_64x2 has$(sed -E 's/^sm_[0-9]+( +[0-9]+ registers).*/\1/' <<<"$main" | tr -s ' '))"
    else
        failed=1
        echo "not ok - fused_kernels_spill_nothing on sm_$arch: fused_train_64x2: ${main:-is not there}; of all"
        spills "$arch" | sed 's/^/# /'
    fi
done

# ---- what environments' kernels write to; the Makefile leaves their PTX as text in the object (CUDA_ENV_ARCH) --------------------------------
writes_within() { # NAME FILE
    local found kernels
    found=$("${PYTHON:-python3}" tests/cuda/ptx_stores.py "$2" 2>&1)
    kernels=$(head -1 <<<"$found")
    if [ "$(wc -l <<<"$found")" = 1 ] && [ "$kernels" -gt 0 ] 2>/dev/null; then
        echo "ok - kernels_of_$1_write_within_their_arrays ($kernels kernels)"
    else
        failed=1
        echo "not ok - kernels_of_$1_write_within_their_arrays: $kernels kernels found; of these"
        tail -n +2 <<<"$found" | sed 's/^/# /' | head -20
    fi
}
for file in envs/*/*.cu; do writes_within "$(basename "$file" .cu)" "$cross/obj/$file.o"; done
work=$(mktemp -d --suffix=.mappo-compile) || exit 1
trap 'rm -rf "$work"' EXIT
cp envs/template/meeting.c "$work"
sed -n '/^```cuda$/,/^```$/p' docs/env-abi.md | sed '/^```/d' >"$work/meeting.cu"
if "$nvcc" -std=c++17 -O3 -ptx -Isrc -I. -fmad=false -o "$work/meeting.ptx" "$work/meeting.cu" >"$work/log" 2>&1; then
    echo "ok - kernels_of_the_template_compile"
else
    failed=1
    echo "not ok - kernels_of_the_template_compile: $(grep -m3 error "$work/log")"
fi
writes_within the_template "$work/meeting.ptx"
exit $failed
