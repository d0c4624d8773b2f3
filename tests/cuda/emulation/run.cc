/* Runs kernels on the host: blocks one after another, the threads of a block as fibers that take turns where they meet (barriers, warp
 * operations). One host thread runs at a time (the caller holds the runtime's lock).
 *
 * The order in which threads take turns is MAPPO_EMULATE_ORDER: forward (default), reverse, or a number that seeds a shuffle. Code that
 * lacks a barrier gives other results, or reads poison, in one of two opposite orders. Shared memory is poisoned before every block. */
#include "cuda_runtime.h"
#include "emulation.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#ifdef WITH_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifndef __x86_64__
#include <ucontext.h>
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;
void *emulation_dynamic_shared;
const char *emulation_running;

enum { WARP = 32, MAX_THREADS = 1024, STACK_BYTES = 512 << 10 };

/* ---- fibers: stacks to run on -------------------------------------------------------------------------------------------------------- */

struct fiber {
#ifdef __x86_64__
    void *at; /* stack pointer while it does not run */
#else
    ucontext_t at;
#endif
    unsigned char *stack; /* [STACK_BYTES], lowest page unreadable; NULL: the host's own */
    const void *bottom;
    size_t bytes;
    void *fake; /* ASan's */
    struct fiber *next;
};

static struct fiber host, *idle;

#ifdef __x86_64__
/* Keeps what a call must keep on the present stack, and goes on where the other one stopped. */
extern "C" void emulation_switch(void **from, void *to);
asm(".text\n"
    ".type emulation_switch,@function\n"
    "emulation_switch:\n"
    "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
    "  movq %rsp, (%rdi)\n"
    "  movq %rsi, %rsp\n"
    "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
    "  ret\n"
    ".size emulation_switch, .-emulation_switch\n");
#endif

static void fiber_arrived(struct fiber *me, struct fiber *from)
{
#ifdef WITH_ASAN
    const void *bottom;
    size_t bytes;
    __sanitizer_finish_switch_fiber(me->fake, &bottom, &bytes);
    if (from) { /* learnt on the way: where the stack of the host's thread is, which need not be the one of last time */
        from->bottom = bottom;
        from->bytes = bytes;
    }
#else
    (void)me;
    (void)from;
#endif
}

static void fiber_switch(struct fiber *from, struct fiber *to)
{
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(&from->fake, to->bottom, to->bytes);
#endif
#ifdef __x86_64__
    emulation_switch(&from->at, to->at);
#else
    swapcontext(&from->at, &to->at);
#endif
    fiber_arrived(from, from->stack ? &host : NULL); /* fibers are only ever resumed by the host */
}

static void fiber_main(void);
extern "C" void emulation_fiber_main(void)
{
    fiber_main();
}

static struct fiber *fiber_new(void)
{
    struct fiber *f = static_cast<struct fiber *>(calloc(1, sizeof *f));
    void *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!f || stack == MAP_FAILED || mprotect(stack, (size_t)sysconf(_SC_PAGESIZE), PROT_NONE)) {
        fprintf(stderr, "emulation: no memory for the stack of a thread\n");
        abort();
    }
    f->stack = static_cast<unsigned char *>(stack);
    f->bottom = f->stack;
    f->bytes = STACK_BYTES;
#ifdef __x86_64__
    void **top = reinterpret_cast<void **>(f->stack + STACK_BYTES) - 2; /* 16-byte aligned */
    *--top = NULL;                                                      /* where a caller's address would be */
    *--top = reinterpret_cast<void *>(emulation_fiber_main);
    for (int i = 0; i < 6; i++) *--top = NULL;
    f->at = top;
#else
    getcontext(&f->at);
    f->at.uc_stack.ss_sp = f->stack;
    f->at.uc_stack.ss_size = STACK_BYTES;
    f->at.uc_link = NULL;
    makecontext(&f->at, emulation_fiber_main, 0);
#endif
    return f;
}

/* ---- the block that runs ------------------------------------------------------------------------------------------------------------- */

enum thread_state { READY, AT_BARRIER, AT_WARP, ENDED };

struct thread {
    enum thread_state state;
    struct fiber *fiber; /* while it waits */
    enum emulation_meeting kind;
    unsigned mask;
    int source;
    uint64_t value; /* brought, then taken */
};

static struct {
    const char *name; /* kernel */
    const std::function<void()> *body;
    int threads, fresh /* position of the next to begin */, ended, waiting /* at the barrier */, counted, count;
    int order[MAX_THREADS];
    uint3 place[MAX_THREADS];                                          /* threadIdx of each */
    unsigned present[MAX_THREADS / WARP], in_warp[MAX_THREADS / WARP]; /* threads that have not ended; that wait at a warp operation */
    struct thread thread[MAX_THREADS];
    struct fiber *running;
    int now; /* thread */
} block;

static void stuck(const char *why)
{
    int at[ENDED + 1] = {0};
    for (int t = 0; t < block.threads; t++) at[block.thread[t].state]++;
    fprintf(
        stderr,
        "emulation: kernel %s, block (%u, %u, %u) of (%u, %u, %u), %d threads: %s: %d wait at a barrier, %d at an operation of their warp, "
        "%d have ended\n",
        block.name, blockIdx.x, blockIdx.y, blockIdx.z, gridDim.x, gridDim.y, gridDim.z, block.threads, why, at[AT_BARRIER], at[AT_WARP],
        at[ENDED]);
    abort();
}

static void become(int t)
{
    block.now = t;
    threadIdx = block.place[t];
}

static void warp_try(int t);
static void thread_ends(int t)
{
    const int warp = t / WARP;
    block.thread[t].state = ENDED;
    block.ended++;
    block.present[warp] &= ~(1u << t % WARP);
    if (block.in_warp[warp]) warp_try(warp * WARP + __builtin_ctz(block.in_warp[warp])); /* perhaps they waited for this one only */
}

/* A fiber begins threads, one after another, until one of them has to wait (which then keeps the fiber) or none is left. */
static void fiber_main(void)
{
    struct fiber *me = block.running;
    fiber_arrived(me, &host);
    for (;;) {
        while (block.fresh < block.threads) {
            const int t = block.order[block.fresh++];
            become(t);
            (*block.body)();
            thread_ends(block.now);
            me = block.running;
            if (block.thread[t].fiber) break; /* it has waited, others are to be resumed in order */
        }
        me->next = idle;
        idle = me;
        fiber_switch(me, &host);
    }
}

static void resume(struct fiber *f)
{
    block.running = f;
    fiber_switch(&host, f);
}

static void wait_for_turn(enum thread_state state)
{
    const int t = block.now;
    struct fiber *me = block.running;
    block.thread[t].state = state;
    block.thread[t].fiber = me;
    fiber_switch(me, &host);
    become(t);
}

static void run_block(void)
{
    for (;;) {
        bool moved = false;
        while (block.fresh < block.threads) {
            struct fiber *f = idle;
            if (f)
                idle = f->next;
            else
                f = fiber_new();
            resume(f);
            moved = true;
        }
        for (int i = 0; i < block.threads && block.ended < block.threads; i++) {
            struct thread *t = &block.thread[block.order[i]];
            if (t->state != READY) continue;
            resume(t->fiber);
            moved = true;
        }
        if (block.ended == block.threads) return;
        if (!moved) stuck("not all of them come to where the others wait");
    }
}

/* ---- meetings ------------------------------------------------------------------------------------------------------------------------ */

int emulation_in_warp(void)
{
    return block.now % WARP;
}

int emulation_barrier(int predicate)
{
    block.counted += predicate != 0;
    if (++block.waiting == block.threads) {
        for (int t = 0; t < block.threads; t++)
            if (t != block.now) block.thread[t].state = READY;
        block.count = block.counted;
        block.waiting = block.counted = 0;
        wait_for_turn(READY);
    } else {
        wait_for_turn(AT_BARRIER);
    }
    return block.count; /* of this barrier: the next one is complete only after every thread has read it */
}

/* Are all threads there that thread t's operation needs? Then each takes what it came for. A thread that has ended is not waited for. */
static void warp_try(int t)
{
    const int first = t / WARP * WARP;
    const struct thread *asked = &block.thread[t];
    const unsigned need = asked->mask & block.present[t / WARP];
    uint64_t brought[WARP];
    unsigned votes = 0;
    if ((block.in_warp[t / WARP] & need) != need) return;
    memset(brought, 0xff, sizeof brought);
    for (int in_warp = 0; in_warp < WARP; in_warp++) {
        const struct thread *other = &block.thread[first + in_warp];
        if (!(need >> in_warp & 1)) continue;
        if (other->kind != asked->kind || other->mask != asked->mask) stuck("threads of a warp come to different operations");
        brought[in_warp] = other->value;
        if (other->kind == MEET_BALLOT && other->value) votes |= 1u << in_warp;
    }
    for (int in_warp = 0; in_warp < WARP; in_warp++) {
        struct thread *other = &block.thread[first + in_warp];
        if (!(need >> in_warp & 1)) continue;
        if (other->kind == MEET_SHUFFLE) other->value = brought[other->source & (WARP - 1)]; /* of a thread that is not there: poison */
        if (other->kind == MEET_BALLOT) other->value = votes;
        other->state = READY;
    }
    block.in_warp[t / WARP] &= ~need;
}

uint64_t emulation_warp(enum emulation_meeting kind, unsigned mask, uint64_t value, int source)
{
    const int t = block.now;
    struct thread *me = &block.thread[t];
    if (!(mask >> t % WARP & 1)) stuck("a thread is not in the mask of its own warp operation");
    me->kind = kind;
    me->mask = mask;
    me->source = source;
    me->value = value;
    me->state = AT_WARP;
    block.in_warp[t / WARP] |= 1u << t % WARP;
    warp_try(t);
    wait_for_turn(me->state);
    return me->value;
}

/* ---- a kernel ------------------------------------------------------------------------------------------------------------------------ */

/* All `__shared__` variables (empty where the program has none). */
extern "C" unsigned char __start_emulation_shared[] __attribute__((weak)), __stop_emulation_shared[] __attribute__((weak));

enum { FORWARD = -1, REVERSE = -2 };
static long order_asked(void)
{
    const char *text = getenv("MAPPO_EMULATE_ORDER");
    char *end;
    if (!text || !*text || !strcmp(text, "forward")) return FORWARD;
    if (!strcmp(text, "reverse")) return REVERSE;
    const long seed = strtol(text, &end, 10);
    if (*end || seed < 0) {
        fprintf(stderr, "emulation: MAPPO_EMULATE_ORDER=%s is not forward, reverse or a number\n", text);
        abort();
    }
    return seed;
}

static void put_in_order(long order, uint64_t number)
{
    uint64_t x = (uint64_t)order * 0x9e3779b97f4a7c15u + number * 0xd1342543de82ef95u + 1;
    for (int t = 0; t < block.threads; t++) block.order[t] = order == REVERSE ? block.threads - 1 - t : t;
    for (int t = block.threads - 1; order >= 0 && t > 0; t--) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        const int other = (int)((x >> 33) % (uint64_t)(t + 1)), kept = block.order[t];
        block.order[t] = block.order[other];
        block.order[other] = kept;
    }
}

void emulation_run(const struct emulation_launch *launch, const std::function<void()> &thread)
{
    const long order = order_asked();
    const uint64_t blocks = (uint64_t)launch->grid.x * launch->grid.y * launch->grid.z;
    const size_t fixed = __start_emulation_shared ? (size_t)(__stop_emulation_shared - __start_emulation_shared) : 0;
    void *shared = NULL;
    if (posix_memalign(&shared, 128, launch->shared ? launch->shared : 1)) abort(); /* exactly as long as asked for: ASan sees the end */
    gridDim = launch->grid;
    blockDim = launch->block;
    emulation_dynamic_shared = shared;
    block.name = emulation_running = launch->name;
    block.body = &thread;
    block.threads = (int)(launch->block.x * launch->block.y * launch->block.z);
    for (unsigned t = 0; t < (unsigned)block.threads; t++)
        block.place[t] = {t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y};
    for (uint64_t i = 0; i < blocks; i++) {
        const uint64_t b = order == REVERSE || (order >= 0 && order % 2) ? blocks - 1 - i : i;
        blockIdx.x = (unsigned)(b % gridDim.x);
        blockIdx.y = (unsigned)(b / gridDim.x % gridDim.y);
        blockIdx.z = (unsigned)(b / gridDim.x / gridDim.y);
        block.fresh = block.ended = block.waiting = block.counted = 0;
        for (int t = 0; t < block.threads; t++) {
            block.thread[t].state = READY;
            block.thread[t].fiber = NULL;
        }
        for (int w = 0; w * WARP < block.threads; w++) {
            const int threads = block.threads - w * WARP;
            block.present[w] = threads >= WARP ? 0xffffffffu : (1u << threads) - 1;
            block.in_warp[w] = 0;
        }
        if (i == 0 || order >= 0) put_in_order(order, b);
        memset(shared, 0xff, launch->shared); /* NaN */
        if (fixed) memset(__start_emulation_shared, 0xff, fixed);
        run_block();
    }
    free(shared);
    emulation_running = NULL;
}
