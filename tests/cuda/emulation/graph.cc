/* Streams, capturing and graphs in the emulation. A graph is the list of what its streams were given, in the order of the calls, which
 * respects every dependence between them. */
#include "emulation.h"

#include <stdio.h>

#include <vector>

struct emulated_graph {
    std::vector<std::function<void()>> work;
    std::vector<cudaStream_t> streams; /* that capture into it, the first began */
    bool spoiled;
};

struct emulated_graph_exec {
    std::vector<std::function<void()>> work;
};

struct emulated_stream {
    struct emulated_graph *capture;
    unsigned long long works, joined; /* given while capturing; how many of them the first stream has waited for */
};

static thread_local struct emulated_graph *capturing; /* by this thread, not in relaxed mode */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned)
{
    *stream = new emulated_stream();
    return emulation_later(NULL, [] {});
}

cudaError_t cudaStreamCreate(cudaStream_t *stream)
{
    return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int)
{
    return cudaStreamCreateWithFlags(stream, flags);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    emulation_flush();
    delete stream;
    return cudaSuccess;
}

bool emulation_captures(cudaStream_t stream)
{
    return stream && stream->capture;
}

bool emulation_note(cudaStream_t stream, std::function<void()> *work, cudaError_t *code)
{
    if (!stream && capturing) { /* the stream that all others wait for cannot take part */
        capturing->spoiled = true;
        *code = cudaErrorStreamCaptureImplicit;
        return true;
    }
    if (!emulation_captures(stream)) return false;
    *code = stream->capture->spoiled ? cudaErrorStreamCaptureInvalidated : cudaSuccess;
    stream->works++;
    stream->capture->work.push_back(std::move(*work));
    return true;
}

bool emulation_refuses_to_wait(cudaStream_t stream)
{
    struct emulated_graph *graph = emulation_captures(stream) ? stream->capture : capturing;
    if (stream && !stream->capture) return false; /* another stream may be waited for */
    if (graph) graph->spoiled = true;
    return graph != NULL;
}

bool emulation_mark(cudaStream_t stream, struct emulation_mark *mark)
{
    mark->graph = emulation_captures(stream) ? stream->capture : NULL;
    mark->stream = stream;
    mark->works = stream ? stream->works : 0;
    return mark->graph != NULL;
}

void emulation_join(cudaStream_t stream, const struct emulation_mark *mark)
{
    if (!stream || !mark->graph) return;
    if (stream->capture == NULL) { /* forked: what it is given belongs to the graph from here on */
        stream->capture = mark->stream->capture;
        stream->works = 1; /* even without work it must be joined */
        stream->joined = 0;
        stream->capture->streams.push_back(stream);
    } else if (stream == stream->capture->streams[0] && mark->works > mark->stream->joined) {
        mark->stream->joined = mark->works;
    }
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    if (!stream || stream->capture) return cudaErrorStreamCaptureUnsupported;
    emulation_flush();
    struct emulated_graph *graph = new emulated_graph();
    graph->streams.push_back(stream);
    stream->capture = graph;
    stream->works = stream->joined = 0;
    if (mode != cudaStreamCaptureModeRelaxed) capturing = graph;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *to)
{
    *to = NULL;
    if (!emulation_captures(stream) || stream != stream->capture->streams[0]) return cudaErrorStreamCaptureUnsupported;
    struct emulated_graph *graph = stream->capture;
    cudaError_t code = graph->spoiled ? cudaErrorStreamCaptureInvalidated : cudaSuccess;
    for (cudaStream_t s : graph->streams) {
        if (s != stream && s->joined < s->works && code == cudaSuccess) code = cudaErrorStreamCaptureUnjoined;
        s->capture = NULL;
    }
    if (capturing == graph) capturing = NULL;
    if (code == cudaSuccess)
        *to = graph;
    else
        delete graph;
    return code;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status)
{
    *status = !emulation_captures(stream) ? cudaStreamCaptureStatusNone
              : stream->capture->spoiled  ? cudaStreamCaptureStatusInvalidated
                                          : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}

/* What a thread may do while a stream captures; nothing here is forbidden by it. */
cudaError_t cudaThreadExchangeStreamCaptureMode(enum cudaStreamCaptureMode *mode)
{
    static thread_local enum cudaStreamCaptureMode present = cudaStreamCaptureModeGlobal;
    std::swap(present, *mode);
    return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *, size_t *count)
{
    *count = graph->work.size();
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long)
{
    *exec = new emulated_graph_exec();
    (*exec)->work = graph->work;
    return cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t)
{
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    return emulation_later(stream, [exec] {
        for (const std::function<void()> &work : exec->work) {
            if (cudaPeekAtLastError() == cudaErrorLaunchFailure) return; /* the device is lost */
            work();
        }
    });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    emulation_flush();
    delete exec;
    return cudaSuccess;
}
