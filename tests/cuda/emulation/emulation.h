/* Between the emulation's own files. */
#ifndef MAPPO_EMULATION_H
#define MAPPO_EMULATION_H

#include "cuda_runtime.h"

/* run.cc: all blocks of a launch, now; the caller holds the lock. */
extern const char *emulation_running; /* kernel, or NULL */
void emulation_run(const struct emulation_launch *launch, const std::function<void()> &thread);

/* memory.cc: the device's memory. With MAPPO_EMULATE_GUARD=1 it can be touched only between open and close, which nest; otherwise always.
 */
void *emulation_memory_take(size_t bytes); /* NULL where there is none; poisoned */
void emulation_memory_give(void *p, size_t bytes);
void emulation_memory_open(void);
void emulation_memory_close(void);
bool emulation_memory_has(const void *p); /* with the guard: is it the device's? */

/* runtime.cc */
cudaError_t emulation_later(cudaStream_t stream, std::function<void()> work); /* in the order of the calls */
bool emulation_knows(const void *p);                                          /* is it memory of the device, or page-locked? */
void emulation_flush(void);                                                   /* all of it, now */

/* graph.cc; the caller holds the lock */
struct emulation_mark { /* what an event says of a capture */
    const void *graph;
    cudaStream_t stream;
    unsigned long long works;
};
bool emulation_captures(cudaStream_t stream);
bool emulation_note(cudaStream_t stream, std::function<void()> *work, cudaError_t *code); /* true: noted, or refused with a code */
bool emulation_refuses_to_wait(cudaStream_t stream);                   /* since this thread captures; spoils the capture */
bool emulation_mark(cudaStream_t stream, struct emulation_mark *mark); /* an event is recorded: true where that is part of a capture */
void emulation_join(cudaStream_t stream, const struct emulation_mark *mark); /* a stream waits for an event */

#endif
