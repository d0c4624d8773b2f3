#!/usr/bin/env bash
# Device code compiles, without warnings, for every architecture that `make` builds for. The fused kernels, which hold a whole network in
# registers and shared memory, spill nothing on those they were laid out for. Needs no GPU.
# timeout: 1200
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
nvcc=$(sed -n 's/^NVCC_FOUND := //p' "$build/config.mk" 2>/dev/null)
flags=$(sed -n 's/^CUDA_FLAGS := //p' "$build/config.mk" 2>/dev/null)
if [ -z "$nvcc" ]; then
    echo "ok - device_code_compiles # SKIP needs nvcc"
    exit 0
fi
work=$(mktemp -d --suffix=.mappo-compile) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
compile() { # ARCH FILE OBJECT STAGE
    # shellcheck disable=SC2086
    "$nvcc" -std=c++17 -O3 $flags -arch "$([ "$4" = -ptx ] && echo compute || echo sm)_$1" -Isrc -I. -DMAPPO_CUDA_VERSION='"test"' -DMAPPO_CUDA_ARCHES="\"$1\"" \
        -Xptxas -v "$4" -o "$3" "$2" >"$3.log" 2>&1
}
# spills LOG...: the fused kernels that keep something in local memory
spills() { cat "$@" | scripts/cuda_report.sh | grep fused | grep -vE ' 0 stack +0 spilled stores +0 loads'; }
kernels() { cat "$@" | scripts/cuda_report.sh | grep -c fused; }

# Those of scripts/probe.sh that this nvcc knows. Fused kernels only as far as PTX: the assembler takes most of a minute for each of them.
known=$("$nvcc" --list-gpu-arch | sed 's/compute_//')
arches=$(sed -nE 's/.*\$\{CUDA_ARCH:-([0-9 ]+)\}.*/\1/p' scripts/probe.sh)
for arch in $arches; do
    grep -qx "$arch" <<<"$known" || continue
    bad=""
    for file in cuda/*.cu envs/*/*.cu; do
        log=$work/$(basename "$file").$arch
        stage=-cubin
        case $arch-$file in
        80-cuda/*fused*.cu | 90-cuda/*fused*.cu) continue ;; # below
        *-cuda/*fused*.cu) stage=-ptx ;;
        esac
        if ! compile "$arch" "$file" "$log" $stage || grep -q 'warning' "$log.log"; then
            bad="$bad $file"
            grep -hE 'error|warning' "$log.log" | head -5 | sed 's/^/# /'
        fi
    done
    if [ -z "$bad" ]; then echo "ok - device_code_compiles for sm_$arch"; else failed=1 && echo "not ok - device_code_compiles for sm_$arch: not$bad"; fi
done

for arch in 80 90; do
    : >"$work/only"
    bad=""
    for file in cuda/*fused*.cu; do
        log=$build/obj/$file.o.log # what the build said of it
        if ! { [ -f "$log" ] && grep -q "'sm_$arch'" "$log"; }; then
            log=$work/$(basename "$file").$arch.log
            compile "$arch" "$file" "${log%.log}" -cubin
        fi
        # There must be something to look at: a report that is empty would pass anything.
        [ "$(grep "'sm_$arch'" -A 3 "$log" | scripts/cuda_report.sh | grep -c fused)" -gt 0 ] || bad="$bad $file"
        grep "'sm_$arch'" -A 3 "$log" >>"$work/only"
    done
    if [ -z "$bad" ] && [ -z "$(spills "$work/only")" ]; then
        echo "ok - fused_kernels_spill_nothing on sm_$arch ($(kernels "$work/only") kernels)"
    else
        failed=1
        echo "not ok - fused_kernels_spill_nothing on sm_$arch: $(kernels "$work/only") kernels, none in:${bad:- -}; of which"
        spills "$work/only" | sed 's/^/# /'
    fi
done
exit $failed
