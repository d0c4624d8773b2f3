/* What an environment must leave as it is in the process around it. */
#include <errno.h>
#include <fenv.h>
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "check/work.h"

enum { OF_FOLDER, OF_LOCALE, OF_MASK, OF_SIGNALS, OF_ROUNDING, OF_SMALL, OF_RAND, OF_RAND48, OF_OUTPUT, OF_PROCESSES };

static struct {
    char folder[PATH_MAX], locale[256];
    mode_t mask;
    void (*handler[32])(int);
    int rounding;
    char random[128], random_then[128]; /* state of rand() and random() */
} before;

static const unsigned short drand48_start[3] = {17, 4711, 815};

static bool has_small_numbers(void)
{
    volatile float x = 1.2e-38f;
    x = x * 0.25f;
    return x != 0;
}

static mode_t mask_now(void)
{
    const mode_t mask = umask(0);
    umask(mask);
    return mask;
}

static void (*handler_of(int number))(int)
{
    struct sigaction now;
    return sigaction(number, NULL, &now) ? SIG_DFL : now.sa_handler;
}

static void seed_drand48(void)
{
    unsigned short start[3];
    memcpy(start, drand48_start, sizeof start);
    seed48(start);
}

void surroundings_note(void)
{
    if (!getcwd(before.folder, sizeof before.folder)) before.folder[0] = '\0';
    text_format(before.locale, sizeof before.locale, "%s", setlocale(LC_ALL, NULL));
    before.mask = mask_now();
    for (int number = 1; number < 32; number++) before.handler[number] = handler_of(number);
    before.rounding = fegetround();
    initstate(1, before.random, sizeof before.random);
    memcpy(before.random_then, before.random, sizeof before.random);
    seed_drand48();
}

static void look_at_chance(struct check *check, const char *call)
{
    unsigned short start[3];
    static const char advice[] =
        "draw from Philox keyed by seed, stream and first_env + e (base/philox.h), with the generator in each environment's state";
    if (memcmp(before.random, before.random_then, sizeof before.random)) {
        check_fault(check, KIND_SURROUNDINGS + OF_RAND, 0, "%s draws from the C library's rand() or random(), or seeds it: %s", call,
                    advice);
        check->shared->causes |= CAUSE_CHANCE;
    }
    memcpy(start, drand48_start, sizeof start);
    if (memcmp(seed48(start), drand48_start, sizeof start)) {
        check_fault(check, KIND_SURROUNDINGS + OF_RAND48, 0, "%s draws from the C library's drand48() or its kin, or seeds it: %s", call,
                    advice);
        check->shared->causes |= CAUSE_CHANCE;
    }
}

/* A rounding mode that an environment sets changes what everything else in the process computes. */
static void look_at_numbers(struct check *check, const char *call)
{
    const bool rounds = fegetround() != before.rounding, is_small = !has_small_numbers();
    if (rounds)
        check_fault(check, KIND_SURROUNDINGS + OF_ROUNDING, 0,
                    "%s changes how numbers are rounded (fesetround): set it back before it returns", call);
    if (is_small)
        check_fault(check, KIND_SURROUNDINGS + OF_SMALL, 0,
                    "%s changes the floating-point mode (denormal numbers become 0): set it back, and don't link with -ffast-math", call);
    if (rounds || is_small) check->shared->causes |= CAUSE_CHANCE;
}

static void look_at_output(struct check *check, const char *call)
{
    struct stat info;
    char line[120];
    fflush(stdout);
    if (check->env->begin) return; /* what it starts elsewhere may speak, and nobody knows here who did */
    if (fstat(check->output, &info) || info.st_size == 0) return;
    const ssize_t got = pread(check->output, line, sizeof line - 1, 0);
    line[got > 0 ? got : 0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    check_fault(check, KIND_SURROUNDINGS + OF_OUTPUT, 0,
                "%s prints (\"%.80s\"): an environment is silent; numbers to watch are infos of its spec", call, line);
}

void surroundings_look(struct check *check, const char *call)
{
    char folder[PATH_MAX];
    if (before.folder[0] && (!getcwd(folder, sizeof folder) || strcmp(folder, before.folder)))
        check_fault(check, KIND_SURROUNDINGS + OF_FOLDER, 0,
                    "%s leaves another working directory: names of files mean other files then; change back", call);
    if (strcmp(setlocale(LC_ALL, NULL), before.locale))
        check_fault(check, KIND_SURROUNDINGS + OF_LOCALE, 0, "%s changes the locale (%s): set it back, or numbers are written with a comma",
                    call, setlocale(LC_ALL, NULL));
    if (mask_now() != before.mask) check_fault(check, KIND_SURROUNDINGS + OF_MASK, 0, "%s changes the umask: set it back", call);
    for (int number = 1; number < 32; number++)
        if (handler_of(number) != before.handler[number])
            check_fault(check, KIND_SURROUNDINGS + OF_SIGNALS, 0,
                        "%s replaces the handler of signal %d (%s), which is the program's: set it back", call, number, strsignal(number));
    if (!check->env->begin && waitpid(-1, NULL, WNOHANG) >= 0)
        check_fault(check, KIND_SURROUNDINGS + OF_PROCESSES, 0, "%s starts a process (fork) and leaves it to itself: ranks of MPI must not",
                    call);
    look_at_numbers(check, call);
    look_at_chance(check, call);
    look_at_output(check, call);
}
