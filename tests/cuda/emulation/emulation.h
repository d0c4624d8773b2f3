/* Between the emulation's own files. */
#ifndef MAPPO_EMULATION_H
#define MAPPO_EMULATION_H

#include "cuda_runtime.h"

/* run.cc: all blocks of a launch, now; the caller holds the lock. */
void emulation_run(const struct emulation_launch *launch, const std::function<void()> &thread);

/* runtime.cc */
cudaError_t emulation_later(cudaStream_t stream, std::function<void()> work); /* in the order of the calls */
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
