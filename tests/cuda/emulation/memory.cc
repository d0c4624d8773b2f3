/* Whose memory is touched by whom, in the emulation, where one address space holds all of it. A device would fault, or give other numbers.
 *
 * Kernels: addresses of the host in their parameters lead nowhere, so that following one ends the program. The host: with
 * MAPPO_EMULATE_GUARD=1 the device's memory can be read and written only while the device works (no sanitizer sees its ends then). */
#include "emulation.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static const size_t arena_bytes = (size_t)64 << 30; /* of addresses; pages come as they are touched */
static unsigned char *arena;                        /* NULL: no guard */
static size_t arena_used;
static int opened;

/* ---- what is said before the program ends ---- */

static void say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0) _exit(3);
}

static void at_fault(int signal_number, siginfo_t *info, void *)
{
    if (emulation_memory_has(info->si_addr)) {
        say("emulation: the host touches memory of the device\n");
    } else if (emulation_running) {
        say("emulation: kernel ");
        say(emulation_running);
        say(" reads or writes memory that is not the device's: an address of the host among its parameters, or a wrong one\n");
    }
    signal(signal_number, SIG_DFL); /* comes again */
}

/* Where nobody else listens: sanitizers have more to say. */
static void listen_for_faults(void)
{
    static bool done;
    struct sigaction before;
    if (done) return;
    done = true;
    if (sigaction(SIGSEGV, NULL, &before) || (before.sa_flags & SA_SIGINFO) || before.sa_handler != SIG_DFL) return;
    struct sigaction ours;
    memset(&ours, 0, sizeof ours);
    ours.sa_sigaction = at_fault;
    ours.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &ours, NULL);
}

/* ---- the device's memory ---- */

static size_t page_up(size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page) / page * page; /* at least one byte of nothing behind it */
}

void *emulation_memory_take(size_t bytes)
{
    const char *guard = getenv("MAPPO_EMULATE_GUARD");
    void *p = NULL;
    listen_for_faults();
    if (!arena && guard && strcmp(guard, "1") == 0) {
        void *all = mmap(NULL, arena_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (all != MAP_FAILED) arena = static_cast<unsigned char *>(all);
    }
    if (!arena) {
        if (posix_memalign(&p, 256, bytes ? bytes : 1)) return NULL; /* as long as asked for: AddressSanitizer sees the end */
        return memset(p, 0xff, bytes);
    }
    if (page_up(bytes) > arena_bytes - arena_used) return NULL; /* addresses are used once */
    p = arena + arena_used;
    if (mprotect(p, page_up(bytes), PROT_READ | PROT_WRITE)) return NULL;
    memset(p, 0xff, bytes);
    arena_used += page_up(bytes);
    if (!opened && mprotect(p, page_up(bytes), PROT_NONE)) abort();
    return p;
}

void emulation_memory_give(void *p, size_t bytes)
{
    if (!arena || !emulation_memory_has(p))
        free(p);
    else if (madvise(p, page_up(bytes), MADV_DONTNEED))
        abort();
}

void emulation_memory_open(void)
{
    if (arena && opened == 0 && arena_used && mprotect(arena, arena_used, PROT_READ | PROT_WRITE)) abort();
    opened++;
}

void emulation_memory_close(void)
{
    opened--;
    if (arena && opened == 0 && arena_used && mprotect(arena, arena_used, PROT_NONE)) abort();
}

bool emulation_memory_has(const void *p)
{
    const unsigned char *at = static_cast<const unsigned char *>(p);
    return arena && at >= arena && at < arena + arena_bytes;
}

/* ---- parameters of kernels ---- */

/* The kernel says whether it could copy a byte from there. (Mapped is not enough: sanitizers reserve terabytes.) */
static bool is_readable(uintptr_t address)
{
    static int ends[2];
    char byte;
    if (ends[1] == 0 && pipe(ends)) return false;
    return syscall(SYS_write, ends[1], address, 1) == 1 && read(ends[0], &byte, 1) == 1; /* a sanitizer would look at the byte itself */
}

/* What looks like an address and is one of ours. A number that does so by chance would have to hit the few pages that are there, of 2^47;
 * below 2^45 are no stacks and heaps, but two small integers in one word, and the sanitizers' shadow. */
void emulation_hide(void *parameter, size_t bytes)
{
    unsigned char *const at = static_cast<unsigned char *>(parameter);
    for (size_t i = 0; i + sizeof(uintptr_t) <= bytes; i += sizeof(uintptr_t)) {
        uintptr_t word;
        memcpy(&word, at + i, sizeof word);
        if (word >> 45 == 0 || word >> 47 != 0 || emulation_knows(reinterpret_cast<void *>(word)) || !is_readable(word)) continue;
        word |= (uintptr_t)0xdead << 48; /* no address of this machine */
        memcpy(at + i, &word, sizeof word);
    }
}
