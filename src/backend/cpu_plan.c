/* A planning CPU backend: what is taken of it is added up by name, and nothing is computed. What it gives are addresses: pages that nobody
 * writes to are not there, so that a run of any size can be planned on a machine that could not hold it. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "backend/cpu.h"
#include "base/text.h"

struct planned_block {
    void *p;
    size_t bytes;
    char what[48];
};

struct cpu_plan {
    struct planned_block *block; /* [blocks], room for `room` */
    int blocks, room;
    size_t bytes; /* of them */
};

enum { SMALL = 64 * 1024 }; /* bytes: blocks that are not worth a mapping of their own */

/* What may not be written to counts against neither limits of a process's data (ulimit -d) nor what the system has promised. */
static void *addresses(size_t bytes)
{
    static const int may[] = {PROT_READ | PROT_WRITE, PROT_READ};
    if (bytes < SMALL) return calloc(1, bytes + 1);
    void *p = MAP_FAILED;
    for (int i = 0; i < 2 && p == MAP_FAILED; i++) p = mmap(NULL, bytes, may[i], MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void *plan_alloc(struct backend *backend, const char *what, size_t bytes)
{
    struct cpu_plan *plan = cpu_plan_of(backend);
    void *p = addresses(bytes);
    if (!p) die(EXIT_USAGE, "not enough memory: %zu bytes for %s can't even be planned here (ulimit -v)", bytes, what);
    if (plan->blocks == plan->room) {
        plan->room = plan->room > 0 ? 2 * plan->room : 64;
        plan->block = realloc(plan->block, (size_t)plan->room * sizeof *plan->block);
        CHECK(plan->block, "out of memory listing what is planned");
    }
    struct planned_block *block = &plan->block[plan->blocks++];
    *block = (struct planned_block){.p = p, .bytes = bytes};
    text_format(block->what, sizeof block->what, "%s", what);
    plan->bytes += bytes;
    return p;
}

static void plan_free(struct backend *backend, void *p)
{
    struct cpu_plan *plan = cpu_plan_of(backend);
    if (!p) return;
    int i = plan->blocks - 1; /* the last taken is usually the first given back */
    while (i >= 0 && plan->block[i].p != p) i--;
    CHECK(i >= 0, "planned memory is given back that was not taken");
    const size_t bytes = plan->block[i].bytes;
    plan->bytes -= bytes;
    plan->block[i] = plan->block[--plan->blocks];
    if (bytes < SMALL)
        free(p);
    else
        munmap(p, bytes);
}

static void plan_copy(struct backend *backend, void *to, const void *from, size_t bytes)
{
    (void)backend;
    (void)to;
    (void)from;
    (void)bytes;
}

static void plan_select(struct backend *backend, const struct select_pass *pass, int passes)
{
    (void)backend;
    (void)pass;
    (void)passes;
}

static int by_size(const void *a, const void *b)
{
    const struct planned_block *x = a, *y = b;
    return (x->bytes < y->bytes) - (x->bytes > y->bytes);
}

/* By name, largest first; returns the number of names. */
static int parts_of(const struct cpu_plan *plan, struct planned_block *part /* [plan->blocks] */)
{
    int parts = 0;
    for (int i = 0; i < plan->blocks; i++) {
        int k = 0;
        while (k < parts && strcmp(part[k].what, plan->block[i].what) != 0) k++;
        if (k < parts)
            part[k].bytes += plan->block[i].bytes;
        else
            part[parts++] = plan->block[i];
    }
    qsort(part, (size_t)parts, sizeof *part, by_size);
    return parts;
}

/* What a machine has left is for the caller to compare: the run may be for another one. */
static int plan_report(struct backend *backend, size_t *need, char *text, size_t size, struct error *err)
{
    enum { SHOWN = 4 };
    (void)err;
    const struct cpu_plan *plan = cpu_plan_of(backend);
    struct planned_block *part = calloc((size_t)plan->blocks + 1, sizeof *part);
    CHECK(part, "out of memory listing what is planned");
    const int parts = parts_of(plan, part);
    char bytes[32];
    *need = plan->bytes;
    text_bytes(bytes, sizeof bytes, (double)plan->bytes);
    text_format(text, size, "%s", bytes);
    for (int k = 0; k < parts && k < SHOWN; k++) {
        const size_t used = strlen(text);
        text_bytes(bytes, sizeof bytes, (double)part[k].bytes);
        text_format(text + used, size - used, "%s%s %s", k ? ", " : " (", part[k].what, bytes);
    }
    if (parts) text_format(text + strlen(text), size - strlen(text), ")");
    free(part);
    return EXIT_DONE;
}

struct cpu_plan *cpu_plan_begin(struct backend *backend)
{
    struct cpu_plan *plan = calloc(1, sizeof *plan);
    CHECK(plan, "out of memory for a plan");
    backend->planning = true;
    backend->alloc = plan_alloc;
    backend->free = plan_free;
    backend->upload = backend->download = backend->copy = plan_copy;
    backend->select = plan_select;
    backend->memory_plan = plan_report;
    return plan;
}

void cpu_plan_end(struct cpu_plan *plan)
{
    if (!plan) return;
    CHECK(plan->blocks == 0, "%s was planned and not given back", plan->block[0].what);
    free(plan->block);
    free(plan);
}
