#!/usr/bin/env bash
# The emulated device finds what it is there for: a kernel whose barrier is missing computes something else in another order of the threads,
# one that writes beyond its memory is stopped by the address sanitizer, and a barrier that not all threads reach is an error.
set -u
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d --suffix=.mappo-emulation) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
check() { # NAME EXPECTED ACTUAL
    if [ "$2" = "$3" ]; then echo "ok - $1"; else failed=1 && echo "not ok - $1: expected '$2', got '$3': $(tail -3 "$work/err" | tr '\n' '|')"; fi
}
cat >"$work/t.cu" <<'C'
/* Every thread adds up the shared values of a block of 64; block b holds b + thread. */
#include <stdio.h>
#include "cuda_runtime.h"
static __global__ void add_up(int *out, int n)
{
    __shared__ int value[64];
    value[threadIdx.x] = (int)(blockIdx.x + threadIdx.x);
#ifdef HALF
    if (threadIdx.x < 32) __syncthreads();
#endif
#ifndef MISSING
    __syncthreads();
#endif
    int sum = 0;
    for (int i = 0; i < 64; i++) sum += value[i];
    const int at = (int)(blockIdx.x * 64 + threadIdx.x);
#ifdef BEYOND
    out[at + 1] = sum;
#else
    if (at < n) out[at] = sum;
#endif
}
int main(void)
{
    int *out, host[128];
    if (cudaMalloc((void **)&out, sizeof host)) return 3;
    if (cudaMemset(out, 0, sizeof host)) return 3;
    LAUNCH(add_up, 2, 64, 0, 0, out, 128);
    if (cudaMemcpy(host, out, sizeof host, cudaMemcpyDeviceToHost)) return 4;
    for (int i = 0; i < 128; i++) if (host[i] != 2016 + 64 * (i / 64)) return 1;
    cudaFree(out);
    return 0;
}
C
build() { # NAME FLAGS...
    g++ -std=c++17 -D_GNU_SOURCE -g -O1 -Itests/cuda/emulation -Isrc -I. "${@:2}" -x c++ "$work/t.cu" -x none tests/cuda/emulation/*.cc -lpthread -o "$work/$1" 2>"$work/err" || echo "not ok - $1 builds: $(tail -2 "$work/err")"
}
code() { "$@" >"$work/out" 2>"$work/err"; echo $?; }
build right & build missing -DMISSING & wait
build half -DHALF & build beyond -DBEYOND -fsanitize=address & wait
check a_right_kernel_computes "0 0" "$(code "$work/right") $(MAPPO_EMULATE_ORDER=reverse code "$work/right")"
forward=$(code "$work/missing") reverse=$(MAPPO_EMULATE_ORDER=reverse code "$work/missing")
check a_missing_barrier_is_caught yes "$([ "$forward" = 1 ] || [ "$reverse" = 1 ] && echo yes)"
check a_barrier_for_half_of_the_threads_is_caught yes "$([ "$(code "$work/half")" != 0 ] && echo yes)"
check a_write_beyond_memory_is_caught yes "$([ "$(ASAN_OPTIONS=detect_leaks=0 code "$work/beyond")" != 0 ] && grep -q AddressSanitizer "$work/err" && echo yes)"
exit $failed
