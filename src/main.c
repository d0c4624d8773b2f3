/* Chooses the command. All ranks parse; they vote, so that a mistake on the command line is said once and touches nothing. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/cmd.h"
#include "comm/openmp.h"
#include "comm/watchdog.h"
#include "env/calls.h"

/* One after the other, a line each. Settings of a training are compared by what they mean, after files were read (run/start.c). */
static void list_arguments(const struct arguments *args, const char *command, char *text, size_t size)
{
    FILE *out = fmemopen(text, size, "w");
    CHECK(out, "out of memory while comparing arguments");
    fprintf(out, "%s\n", command);
    if (args->help) fputs("--help\n", out);
    if (args->version) fputs("--version\n", out);
    if (args->dry_run) fputs("--dry-run\n", out);
    if (args->fresh) fputs("--fresh\n", out);
    const bool all = strcmp(command, "train") != 0;
    for (int i = 0; i < args->files && all; i++) fprintf(out, "--config %s\n", args->file[i]);
    for (int i = 0; i < args->operands && all; i++) fprintf(out, "%s\n", args->operand[i]);
    for (int i = 0; i < args->assignments && all; i++) fprintf(out, "%s\n", args->assignment[i]);
    fclose(out);
    text[size - 1] = '\0';
}

/* Ranks that were started with other arguments would be told rank 0's silently, or wait for each other for ever. */
static int compare_ranks(const struct arguments *args, const struct command *command, struct comm *comm, struct error *err)
{
    enum { MOST = 1 << 14 };
    static char mine[MOST], first[MOST];
    list_arguments(args, command->name, mine, sizeof mine);
    memcpy(first, mine, sizeof first);
    comm_broadcast(comm, first, sizeof first);
    size_t at = 0; /* of the first line that differs */
    for (size_t i = 0; mine[i] && mine[i] == first[i]; i++)
        if (mine[i] == '\n') at = i + 1;
    if (strcmp(mine, first) == 0) return 0;
    const int one = (int)strcspn(mine + at, "\n"), other = (int)strcspn(first + at, "\n");
    return error_set(err, EXIT_USAGE, "rank %d on %s was started with %.*s, rank 0 with %.*s: all ranks need the same arguments",
                     comm->rank, comm->host, one ? one : 7, one ? mine + at : "nothing", other ? other : 7, other ? first + at : "nothing");
}

static int parse(struct arguments *args, const struct command **command, int argc, char **argv, struct comm *comm)
{
    struct error err = {0};
    int code = arguments_parse(args, argc, argv, &err);
    if (code == 0) code = command_find(command, args, &err);
    if (code == 0) code = help_check(args, &err);
    code = comm_vote(comm, code, &err);
    if (code == 0 && comm->size > 1) code = comm_vote(comm, compare_ranks(args, *command, comm, &err), &err);
    if (code) error_report(&err);
    if (!code && comm->rank == 0) arguments_warn_repeated(args);
    return code;
}

static pid_t asked; /* the process that speaks of Ctrl-C, not those that it has made */

static void break_off(int number)
{
    static const char text[] = "\nmappo: interrupted before its end: nothing was saved\n";
    if (getpid() == asked) {
        const ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
        (void)written;
    }
    raise(number); /* its default again: whoever started us sees what ended us */
}

/* Where it is ignored, as of a shell's background jobs, it stays so. */
static void say_when_interrupted(const struct comm *comm)
{
    struct sigaction before, action = {.sa_handler = break_off, .sa_flags = SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    asked = comm->rank == 0 ? getpid() : 0;
    if (sigaction(SIGINT, NULL, &before) == 0 && before.sa_handler == SIG_DFL) sigaction(SIGINT, &action, NULL);
}

/* A full disk or closed pipe behind standard output is an error too: a script may have asked for a result. */
static int finish_output(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    if (code && errno == EPIPE) return code; /* nobody reads it any more: a run has stopped for that, and its log says so */
    warn("cannot write to standard output: %s", strerror(errno));
    return code ? code : EXIT_INTERNAL;
}

/* For scripts whose launcher loses exit codes (MPICH's mpirun may return 0 after it has forwarded a signal): MAPPO_EXIT_FILE=FILE receives
 * the code. */
static void leave_code(const struct comm *comm, int code)
{
    const char *path = getenv("MAPPO_EXIT_FILE");
    if (comm->rank > 0 || !path || !*path) return;
    FILE *file = fopen(path, "w");
    if (!file || fprintf(file, "%d\n", code) < 0) warn("MAPPO_EXIT_FILE=%s: cannot be written: %s", path, strerror(errno));
    if (file) fclose(file);
}

/* Before any work: who asks for the code must be able to rely on it. */
static int check_exit_file(const struct comm *comm, struct error *err)
{
    const char *path = getenv("MAPPO_EXIT_FILE");
    if (comm->rank > 0 || !path || !*path) return 0;
    const int file = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (file >= 0) return close(file);
    if (errno == ENXIO || (errno == ENOENT && file_check_writable(path, err) == 0)) return 0; /* a pipe that nobody reads yet; a new file */
    if (!err->code) error_set(err, EXIT_USAGE, "%s: can't be written: %s", path, strerror(errno));
    unsetenv("MAPPO_EXIT_FILE"); /* said once */
    return error_prefix(err, "MAPPO_EXIT_FILE");
}

int main(int argc, char **argv)
{
    openmp_prepare(argv);
    struct error err = {0};
    struct comm *comm;
    signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error of the write, like a full disk */
    signal(SIGCHLD, SIG_DFL); /* ignored by whoever started us, it would hide how processes of ours end */
    if (comm_open(&comm, &argc, &argv, &err)) return error_report(&err);
    calls_install_handlers();
    watchdog_ask(calls_describe);

    static struct arguments args;
    const struct command *command = NULL;
    int code = parse(&args, &command, argc, argv, comm);
    if (code == 0 && (code = comm_vote(comm, check_exit_file(comm, &err), &err))) error_report(&err);
    if (code == 0 && (args.help || args.version)) {
        if (comm->rank == 0 && args.help)
            help_print(stdout, &args);
        else if (comm->rank == 0)
            version_print(stdout);
    } else if (code == 0) {
        if (command->breaks_off) say_when_interrupted(comm);
        code = command->run(&args, comm);
    }
    code = finish_output(code);
    leave_code(comm, code);
    comm_close(comm);
    return code;
}
