#!/usr/bin/env bash
# The formulas that host and device share are device code too: nvcc compiles every MAPPO_FN of the shared headers into a kernel. Needs no GPU.
set -u
cd "$(dirname "$0")/../.." || exit 1
nvcc=$(sed -n 's/^NVCC_FOUND := //p' "${BUILD:-build}/config.mk" 2>/dev/null)
[ -n "$nvcc" ] || nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
if ! [ -x "$nvcc" ]; then
    echo "ok - shared_headers_compile_as_device_code # SKIP needs nvcc"
    exit 0
fi
work=$(mktemp -d --suffix=.mappo-device) || exit 1
trap 'rm -rf "$work"' EXIT
# functions HEADER: those of it that are there for the device; some have another form on the host.
functions() {
    printf '#include "%s"\n' "$1" | gcc -E -P -D__CUDACC__ -D__CUDA_ARCH__=800 -D__host__= -D__device__=DEVICE -Isrc -I. -x c - 2>/dev/null | sed -nE 's/^static inline +DEVICE [^(]*[ *]([a-z_0-9]+)\(.*/\1/p' | sort >"$work/device"
    sed -nE 's/^MAPPO_FN [^(]*[ *]([a-z_0-9]+)\(.*/\1/p' "$1" | sort -u | comm -12 - "$work/device"
}
compiles() { # NAME HEADER...: one kernel that takes the address of every function of these headers
    local i=0 header function out=$work/$1
    {
        for header in "${@:2}"; do echo "#include \"$header\""; done
        echo '__global__ void take_addresses(void **at)'
        echo '{'
        for header in "${@:2}"; do
            for function in ${has[$header]}; do echo "    at[$((i++))] = (void *)$function;"; done
        done
        echo '}'
    } >"$out.cu"
    "$nvcc" -std=c++17 -arch=compute_80 -ptx -Isrc -I. -Werror cross-execution-space-call -diag-suppress 177 -o "$out.ptx" "$out.cu" >"$out.log" 2>&1
}
declare -A has
headers=()
for header in src/backend/kernels/*.h src/base/philox.h src/env/float_math.h src/env/account.h src/env/wrappers.h src/env/rules.h src/env/lane_env.h envs/mpe/*.h envs/test/*.h; do
    has[$header]=$(functions "$header")
    if [ -n "${has[$header]}" ]; then headers+=("$header"); else echo "ok - $(basename "$header") # SKIP has no function of its own"; fi
done
failed=0
# All at once, which takes as long as one; one by one where that fails, to tell which. To PTX: the assembler takes ten times as long over a kernel
# that nobody launches, and those that are launched are compiled wholly (test_compile.sh).
compiles all "${headers[@]}" && all=1
for header in "${headers[@]}"; do
    name=$(basename "$header" .h)
    if [ "${all:-0}" = 1 ] || compiles "$name" "$header"; then
        echo "ok - $name.h compiles as device code ($(wc -w <<<"${has[$header]}") functions)"
    else
        failed=1
        echo "not ok - $name.h compiles as device code: nvcc says"
        grep -E 'error' "$work/$name.log" | head -8 | sed 's/^/# /'
    fi
done
[ "${all:-0}" = 1 ] || head -5 "$work/all.log" | sed 's/^/# all at once: /'
exit $failed
