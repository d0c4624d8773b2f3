/* One stage of a check, in a process of its own: how it is begun and ended, and what is said where it does not come to its end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "check/work.h"

static const struct {
    int number;
    const char *name;
} signals[] = {{SIGSEGV, "SIGSEGV, memory that is not its own"},
               {SIGBUS, "SIGBUS, memory that is not there"},
               {SIGFPE, "SIGFPE, a division by zero"},
               {SIGILL, "SIGILL, an illegal instruction"},
               {SIGABRT, "SIGABRT, an assertion or abort()"}};
enum { SIGNALS = sizeof signals / sizeof *signals };

/* ---- findings ------------------------------------------------------------------------------------------------------------------------ */

static void add(struct check *check, bool is_warning, const char *format, va_list list)
{
    struct check_shared *shared = check->shared;
    if (shared->findings == CHECK_FINDINGS) return;
    struct check_finding *finding = &shared->finding[shared->findings];
    char text[1024];
    text_format(text, sizeof text, "%s", shared->after);
    const size_t after = strlen(text);
    vsnprintf(text + after, sizeof text - after, format, list);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f) *c = '?';
    finding->is_warning = is_warning;
    text_format(finding->text, sizeof finding->text, "%s", text);
    for (int i = 0; i < shared->findings; i++)
        if (!strcmp(shared->finding[i].text, finding->text)) return;
    shared->findings++;
}

bool check_said(const struct check *check, enum kind kind, int array)
{
    return check->shared->said[kind][array / 64] >> array % 64 & 1;
}

void check_fault(struct check *check, enum kind kind, int array, const char *format, ...)
{
    const bool follows = check->shared->after[0];
    if (follows && kind != KIND_ONCE && (check->shared->said[kind][0] || check->shared->said[kind][1])) return; /* it needs no damage */
    if (follows) kind = KIND_DAMAGE, array = 0;
    if (kind != KIND_ONCE && check_said(check, kind, array)) return;
    check->shared->said[kind][array / 64] |= 1ull << array % 64;
    va_list list;
    va_start(list, format);
    add(check, follows && check->shared->after_is_advice, format, list);
    va_end(list);
}

void check_warning(struct check *check, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    add(check, true, format, list);
    va_end(list);
}

/* ---- inside the child ---------------------------------------------------------------------------------------------------------------------- */

static _Thread_local struct place *here;
static struct check_shared *of_this_process;  /* for the handler */
static _Thread_local char spare_stack[32768]; /* one that has overflown has no room for a handler */

void check_is_thread(struct check *check, int thread)
{
    const stack_t stack = {.ss_sp = spare_stack, .ss_size = sizeof spare_stack};
    here = &check->shared->place[thread];
    sigaltstack(&stack, NULL);
}

const char *check_word(const struct check *check, const char *call)
{
    const char *called = !strcmp(call, "create()")    ? check->env->called.create
                         : !strcmp(call, "spec()")    ? check->env->called.spec
                         : !strcmp(call, "restore()") ? check->env->called.restore
                                                      : NULL;
    return called ? called : call;
}

void check_enter(struct check *check, const char *call, int32_t lo, int32_t hi, int64_t step)
{
    here->lo = lo;
    here->hi = hi;
    here->step = step;
    here->call = check_word(check, call);
    check->shared->calls++;
}

void check_leave(struct check *check)
{
    const char *call = here->call;
    if (getpid() != check->stage_pid) _exit(0); /* the other half of a fork() */
    here->call = NULL;
    if (check->look_after_calls) surroundings_look(check, call);
}

static void crashed(int number, siginfo_t *info, void *context)
{
    (void)context;
    struct check_shared *shared = of_this_process;
    if (!shared->crash.number) {
        shared->crash.address = info->si_addr;
        shared->crash.call = here ? here->call : NULL;
        shared->crash.lo = here ? here->lo : 0;
        shared->crash.hi = here ? here->hi : 0;
        shared->crash.step = here ? here->step : -1;
        shared->crash.number = number;
    }
    signal(number, SIG_DFL);
    raise(number); /* blocked until this returns */
}

static MAPPO_NORETURN void run_child(struct check *check, int parent, stage_function *function)
{
    struct sigaction action = {.sa_sigaction = crashed, .sa_flags = SA_ONSTACK | SA_SIGINFO};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    check_identify(0, 1, NULL); /* other ranks must not be ended by what happens here */
    check_log(NULL);
    for (int number = 1; number < 32; number++) signal(number, SIG_DFL);
    sigemptyset(&action.sa_mask);
    of_this_process = check->shared;
    for (int i = 0; i < SIGNALS; i++) sigaction(signals[i].number, &action, NULL);
    dup2(check->output, STDOUT_FILENO);
    dup2(check->output, STDERR_FILENO);
    check->stage_pid = getpid();
    check_is_thread(check, 0);
    surroundings_note();
    function(check);
    check->shared->done = true;
    _exit(0);
}

/* ---- in the parent --------------------------------------------------------------------------------------------------------------------- */

/* " in its step() of environments [0, 8), step 12" */
static void describe_place(const char *call, int32_t lo, int32_t hi, int64_t step, char *text, size_t size)
{
    char envs[64] = "", when[48] = "";
    if (!call) {
        text_format(text, size, " outside of its functions");
        return;
    }
    if (hi > lo) text_format(envs, sizeof envs, " of environments [%d, %d)", lo, hi);
    if (step >= 0) text_format(when, sizeof when, ", step %lld", (long long)step);
    text_format(text, size, " in its %s%s%s", call, envs, when);
}

/* What the program that crashed said last, which may be an assertion's text. */
static void last_line(const struct check *check, char *text, size_t size)
{
    char end[400];
    const off_t length = lseek(check->output, 0, SEEK_END);
    const off_t from = length > (off_t)sizeof end - 1 ? length - (off_t)sizeof end + 1 : 0;
    ssize_t got = length > 0 ? pread(check->output, end, sizeof end - 1, from) : 0;
    text[0] = '\0';
    while (got > 0 && (end[got - 1] == '\n' || end[got - 1] == '\r')) got--;
    if (got <= 0) return;
    end[got] = '\0';
    const char *line = strrchr(end, '\n');
    text_format(text, size, ": %.200s", line ? line + 1 : end);
}

/* The array next to whose pages an address lies. */
static const struct region *find_region(const struct check_shared *shared, const unsigned char *address)
{
    for (int i = 0; i < shared->regions; i++)
        if (address >= shared->region[i].from && address < shared->region[i].to) return &shared->region[i];
    return NULL;
}

static void say_crash(struct check *check)
{
    const struct check_shared *shared = check->shared;
    char where[160], said[220];
    const char *name = "a signal";
    describe_place(shared->crash.call, shared->crash.lo, shared->crash.hi, shared->crash.step, where, sizeof where);
    for (int i = 0; i < SIGNALS; i++)
        if (signals[i].number == shared->crash.number) name = signals[i].name;
    const char *hint = shared->hint;
    const bool memory = shared->crash.number == SIGSEGV || shared->crash.number == SIGBUS;
    const struct region *region = memory ? find_region(shared, shared->crash.address) : NULL;
    if (region && region->released) {
        check->shared->causes |= CAUSE_KEPT;
        check_fault(check, KIND_ONCE, 0,
                    "uses %s of an earlier call%s: what a call is given may be gone when it returns; keep no pointer to it", region->name,
                    where);
    } else if (region) {
        const bool before = shared->crash.address < region->data;
        const bool made = hint && !shared->crash.hi; /* in create(), or what it tells of itself */
        check_fault(check, region->array < 0 ? KIND_ONCE : KIND_OUTSIDE, region->array < 0 ? 0 : region->array,
                    "reads or writes %s %s%s: it has %zu bytes%s, and none %s%s%s",
                    before ? "before the beginning of" : "behind the end of", region->name, where, region->bytes, region->shape,
                    before ? "before them" : "more", made ? "; " : "", made ? hint : "");
    } else {
        last_line(check, said, sizeof said);
        check_fault(check, KIND_ONCE, 0, "crashed%s (%s)%s%s%s", where, name, hint ? ": " : "", hint ? hint : "", said);
    }
}

static const struct place *place_of_any(const struct check_shared *shared)
{
    for (int i = 0; i < CHECK_THREADS; i++)
        if (shared->place[i].call) return &shared->place[i];
    return &shared->place[0];
}

static void say_end(struct check *check, const char *name, int status, bool too_long)
{
    const struct place *place = place_of_any(check->shared);
    char where[160], said[220];
    describe_place(place->call, place->lo, place->hi, place->step, where, sizeof where);
    if (too_long)
        check_fault(check, KIND_ONCE, 0, "did not return%s within %.3g seconds", where, check->config->call_seconds);
    else if (check->shared->crash.number)
        say_crash(check);
    else if (WIFSIGNALED(status))
        check_fault(check, KIND_ONCE, 0, "was ended by signal %d%s (%s)", WTERMSIG(status), where, name);
    else {
        last_line(check, said, sizeof said);
        check_fault(check, KIND_ONCE, 0, "ended the process%s with exit code %d: it must return an error instead%s%s", where,
                    WEXITSTATUS(status), said[0] ? "; it said" : "", said);
    }
}

/* Waits for the child, which holds the other end of `alive`; false: a call took too long, and it was ended. */
static bool wait_for_end(const struct check *check, pid_t child, int alive, int *status)
{
    enum { MILLISECONDS = 20 };
    struct pollfd end = {.fd = alive, .events = POLLIN};
    double since = clock_seconds();
    uint64_t calls = check->shared->calls;
    for (;;) {
        poll(&end, 1, MILLISECONDS);
        const pid_t ended = waitpid(child, status, end.revents & POLLHUP ? 0 : WNOHANG);
        if (ended == child || (ended < 0 && errno != EINTR)) return true;
        if (calls != check->shared->calls || !place_of_any(check->shared)->call) {
            calls = check->shared->calls;
            since = clock_seconds();
        }
        if (clock_seconds() - since <= check->config->call_seconds) continue;
        kill(child, SIGKILL);
        waitpid(child, status, 0);
        return false;
    }
}

void check_stage(struct check *check, const char *name, stage_function *function)
{
    struct check_shared *shared = check->shared;
    const pid_t parent = getpid();
    int status = 0, alive[2];
    shared->done = false;
    shared->crash.number = 0;
    shared->hint = NULL;
    shared->after[0] = '\0';
    shared->regions = 0;
    memset(shared->place, 0, sizeof shared->place);
    check->output = memfd_create("output of an environment", MFD_CLOEXEC);
    CHECK(check->output >= 0, "no memory for what environments print");
    CHECK(!pipe2(alive, O_CLOEXEC), "no pipe to a process to check an environment in: %s", strerror(errno));
    fflush(NULL);
    const pid_t child = fork();
    CHECK(child >= 0, "cannot start a process to check an environment in: %s", strerror(errno));
    if (child == 0) run_child(check, parent, function);
    close(alive[1]);
    const bool in_time = wait_for_end(check, child, alive[0], &status);
    close(alive[0]);
    if (!shared->done) say_end(check, name, status, !in_time);
    close(check->output);
}
