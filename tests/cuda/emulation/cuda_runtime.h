/* What the project's device code needs of CUDA, on the host: the same .cu files compile against this header with an ordinary C++ compiler
 * and run in the emulation (run.cc: blocks one after another, a block's threads as fibers; runtime.cc: memory, streams, events, graphs).
 * Only what the sources use; constants have the runtime's numbers. README.md in tests/ lists the variables that steer it. */
#ifndef MAPPO_EMULATION_CUDA_RUNTIME_H
#define MAPPO_EMULATION_CUDA_RUNTIME_H

#define MAPPO_EMULATION 1

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmath>
#include <functional>
#include <tuple>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __forceinline__ inline /* not always: the fused kernels would take minutes and a gigabyte to compile */
#define __noinline__    __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
/* Of one block at a time; all of them lie together so that every block finds them poisoned. */
#define __shared__ static __attribute__((section("emulation_shared")))

/* ---- vectors: as aligned as on the device, so that the sanitizers see an address that it would refuse ---- */
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) int2 {
    int x, y;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct alignas(16) double2 {
    double x, y;
};
struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
static inline float2 make_float2(float x, float y)
{
    return {x, y};
}
static inline float4 make_float4(float x, float y, float z, float w)
{
    return {x, y, z, w};
}
static inline int2 make_int2(int x, int y)
{
    return {x, y};
}
static inline int4 make_int4(int x, int y, int z, int w)
{
    return {x, y, z, w};
}
static inline uint2 make_uint2(unsigned x, unsigned y)
{
    return {x, y};
}
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w)
{
    return {x, y, z, w};
}
static inline double2 make_double2(double x, double y)
{
    return {x, y};
}

/* ---- where a thread is; set by run.cc before it goes on ---- */
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
static const int warpSize = 32;

/* ---- launching ---- */
enum { EMULATION_PARAMETERS = 4096 /* bytes, of a kernel */ };
extern void *emulation_dynamic_shared;
#define DYNAMIC_SHARED(type, name) type *name = static_cast<type *>(emulation_dynamic_shared)

struct emulation_launch {
    const char *name;
    const void *kernel;
    dim3 grid, block;
    size_t shared; /* bytes of dynamic shared memory */
    struct emulated_stream *stream;
};
void emulation_submit(const struct emulation_launch *launch, std::function<void()> thread);
/* Addresses of the host's memory in a parameter become such as nobody can read: a kernel may be given them, but not follow them. */
void emulation_hide(void *parameter, size_t bytes);

/* Takes the arguments with the kernel's own types, so that they convert as in a call, and keeps copies: a graph runs them again. */
template <class... P> struct emulation_bound {
    struct emulation_launch launch;
    void (*kernel)(P...);
    void operator()(P... p) const
    {
        static_assert((sizeof(P) + ... + 0) <= EMULATION_PARAMETERS, "a kernel's parameters have 4 KB");
        static_assert((std::is_trivially_copyable_v<P> && ... && true), "a kernel's parameters are copied byte by byte");
        void (*const call)(P...) = kernel;
        std::tuple<P...> kept(p...);
        std::apply([](P &...x) { (emulation_hide(&x, sizeof x), ...); }, kept);
        emulation_submit(&launch, [call, kept] { std::apply(call, kept); });
    }
};
template <class... P>
static inline struct emulation_bound<P...> emulation_bind(const char *name, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared,
                                                          struct emulated_stream *stream) {
    return {{name, reinterpret_cast<const void *>(kernel), grid, block, shared, stream}, kernel};
}
#define LAUNCH(kernel, grid, block, shared, stream, ...) emulation_bind(#kernel, kernel, grid, block, shared, stream)(__VA_ARGS__)

/* ---- what the threads of a block and of a warp do together (run.cc) ---- */
enum emulation_meeting {
    MEET_SYNC,
    MEET_SHUFFLE,
    MEET_BALLOT
};
uint64_t emulation_warp(enum emulation_meeting kind, unsigned mask, uint64_t value, int source);
int emulation_barrier(int predicate); /* how many threads of the block bring a predicate that is not 0 */
int emulation_in_warp(void);

static inline void __syncthreads(void)
{
    emulation_barrier(0);
}
static inline int __syncthreads_count(int predicate)
{
    return emulation_barrier(predicate != 0);
}
static inline int __syncthreads_or(int predicate)
{
    return emulation_barrier(predicate != 0) > 0;
}
static inline int __syncthreads_and(int predicate)
{
    return emulation_barrier(predicate == 0) == 0;
}
static inline void __syncwarp(unsigned mask = 0xffffffffu)
{
    emulation_warp(MEET_SYNC, mask, 0, 0);
}
static inline unsigned __ballot_sync(unsigned mask, int predicate)
{
    return (unsigned)emulation_warp(MEET_BALLOT, mask, predicate != 0, 0);
}
static inline int __any_sync(unsigned mask, int predicate)
{
    return __ballot_sync(mask, predicate) != 0;
}
static inline int __all_sync(unsigned mask, int predicate)
{
    return __ballot_sync(mask, !predicate) == 0;
}
template <class T> static inline T emulation_shuffle(unsigned mask, T value, int source)
{
    static_assert(sizeof(T) <= sizeof(uint64_t), "shuffles move at most 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = emulation_warp(MEET_SHUFFLE, mask, bits, source);
    memcpy(&value, &bits, sizeof value);
    return value;
}
/* A source outside of the thread's own group of `width` is the thread itself. */
template <class T> static inline T __shfl_sync(unsigned mask, T value, int in_warp, int width = 32)
{
    return emulation_shuffle(mask, value, emulation_in_warp() / width * width + (in_warp & (width - 1)));
}
template <class T> static inline T __shfl_xor_sync(unsigned mask, T value, int distance, int width = 32)
{
    const int in_warp = emulation_in_warp(), source = in_warp ^ distance;
    return emulation_shuffle(mask, value, source < in_warp / width * width + width ? source : in_warp);
}
template <class T> static inline T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32)
{
    const int in_warp = emulation_in_warp(), source = in_warp - (int)distance;
    return emulation_shuffle(mask, value, source >= in_warp / width * width ? source : in_warp);
}
template <class T> static inline T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32)
{
    const int in_warp = emulation_in_warp(), source = in_warp + (int)distance;
    return emulation_shuffle(mask, value, source < in_warp / width * width + width ? source : in_warp);
}
static inline void __threadfence(void) {}
static inline void __threadfence_block(void) {}
static inline void __nanosleep(unsigned) {}
static inline void __trap(void)
{
    abort();
}

/* ---- atomics: of integers only, since sums of floats would depend on the order; one thread runs at a time ---- */
#define EMULATION_ATOMIC(name, type, result)                                                                                               \
    static inline type name(type *at, type x)                                                                                              \
    {                                                                                                                                      \
        const type old = *at;                                                                                                              \
        *at = result;                                                                                                                      \
        return old;                                                                                                                        \
    }
#define EMULATION_ATOMICS(type)                                                                                                            \
    EMULATION_ATOMIC(atomicAdd, type, old + x)                                                                                             \
    EMULATION_ATOMIC(atomicMin, type, old < x ? old : x)                                                                                   \
    EMULATION_ATOMIC(atomicMax, type, old > x ? old : x)                                                                                   \
    EMULATION_ATOMIC(atomicExch, type, x)                                                                                                  \
    EMULATION_ATOMIC(atomicOr, type, old | x)                                                                                              \
    EMULATION_ATOMIC(atomicAnd, type, old &x)                                                                                              \
    static inline type atomicCAS(type *at, type expected, type x)                                                                          \
    {                                                                                                                                      \
        const type old = *at;                                                                                                              \
        if (old == expected) *at = x;                                                                                                      \
        return old;                                                                                                                        \
    }
EMULATION_ATOMICS(int)
EMULATION_ATOMICS(unsigned)
EMULATION_ATOMICS(unsigned long long)
EMULATION_ATOMIC(atomicInc, unsigned, old >= x ? 0 : old + 1)

/* ---- numbers ---- */
template <class T> static inline T __ldg(const T *at)
{
    return *at;
}
template <class T> static inline T __ldcs(const T *at)
{
    return *at;
}
template <class T> static inline T __ldcg(const T *at)
{
    return *at;
}
template <class T> static inline void __stcs(T *at, T x)
{
    *at = x;
}
template <class T> static inline void __stcg(T *at, T x)
{
    *at = x;
}
static inline float rsqrtf(float x)
{
    return 1.0f / sqrtf(x);
}
static inline double rsqrt(double x)
{
    return 1.0 / sqrt(x);
}
static inline float __fdividef(float x, float y)
{
    return x / y;
}
static inline float __frcp_rn(float x)
{
    return 1.0f / x;
}
static inline float __fsqrt_rn(float x)
{
    return sqrtf(x);
}
static inline float __fadd_rn(float x, float y)
{
    return x + y;
}
static inline float __fsub_rn(float x, float y)
{
    return x - y;
}
static inline float __fmul_rn(float x, float y)
{
    return x * y;
}
static inline float __fmaf_rn(float x, float y, float z) /* rounded twice, which is seldom another number, and a fifth of fmaf's time */
{
    return (float)((double)x * (double)y + (double)z);
}
static inline double __dadd_rn(double x, double y)
{
    return x + y;
}
static inline double __dmul_rn(double x, double y)
{
    return x * y;
}
template <class TO, class FROM> static inline TO emulation_bits(FROM x)
{
    static_assert(sizeof(TO) == sizeof(FROM), "the same bits");
    TO to;
    memcpy(&to, &x, sizeof to);
    return to;
}
/* A device has a libm of its own, which rounds otherwise than the host's: here the last bit is always another one, except of 0, ±1 and what
 * is no finite number. Code that must give the host's bits can't use it. */
static inline float emulation_other_bit(float x)
{
    return x == 0 || fabsf(x) == 1 || !std::isfinite(x) ? x : emulation_bits<float>(emulation_bits<uint32_t>(x) ^ 1u);
}
#define EMULATION_LIBM(name)                                                                                                               \
    static inline float emulation_##name(float x)                                                                                          \
    {                                                                                                                                      \
        return emulation_other_bit(name(x));                                                                                               \
    }
EMULATION_LIBM(expf)
EMULATION_LIBM(exp2f)
EMULATION_LIBM(expm1f)
EMULATION_LIBM(logf)
EMULATION_LIBM(log2f)
EMULATION_LIBM(log1pf)
EMULATION_LIBM(sinf)
EMULATION_LIBM(cosf)
EMULATION_LIBM(tanhf)
static inline float emulation_powf(float x, float y)
{
    return emulation_other_bit(powf(x, y));
}
#define expf   emulation_expf
#define exp2f  emulation_exp2f
#define expm1f emulation_expm1f
#define logf   emulation_logf
#define log2f  emulation_log2f
#define log1pf emulation_log1pf
#define sinf   emulation_sinf
#define cosf   emulation_cosf
#define tanhf  emulation_tanhf
#define powf   emulation_powf
static inline float emulation_fast_exp(float x)
{
    return expf(x);
}
static inline float emulation_fast_log(float x)
{
    return logf(x);
}
#define __expf emulation_fast_exp
#define __logf emulation_fast_log
static inline int __float_as_int(float x)
{
    return emulation_bits<int>(x);
}
static inline unsigned __float_as_uint(float x)
{
    return emulation_bits<unsigned>(x);
}
static inline float __int_as_float(int x)
{
    return emulation_bits<float>(x);
}
static inline float __uint_as_float(unsigned x)
{
    return emulation_bits<float>(x);
}
static inline long long __double_as_longlong(double x)
{
    return emulation_bits<long long>(x);
}
static inline double __longlong_as_double(long long x)
{
    return emulation_bits<double>(x);
}
static inline int __float2int_rn(float x)
{
    return (int)nearbyintf(x);
}
static inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}
static inline int __popcll(unsigned long long x)
{
    return __builtin_popcountll(x);
}
static inline int __ffs(int x)
{
    return __builtin_ffs(x);
}
static inline int __clz(int x)
{
    return x ? __builtin_clz((unsigned)x) : 32;
}
static inline int __clzll(long long x)
{
    return x ? __builtin_clzll((unsigned long long)x) : 64;
}
static inline unsigned __umulhi(unsigned x, unsigned y)
{
    return (unsigned)(((uint64_t)x * y) >> 32);
}
static inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y)
{
    return (unsigned long long)(((unsigned __int128)x * y) >> 64);
}
template <class T> static inline T min(T x, T y)
{
    return y < x ? y : x;
}
template <class T> static inline T max(T x, T y)
{
    return x < y ? y : x;
}

#include "emulation_runtime.h"

#endif
