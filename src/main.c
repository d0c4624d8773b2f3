/* Chooses the command. All ranks parse; they vote, so that a mistake on the command line is said once and touches nothing. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "comm/openmp.h"
#include "env/calls.h"

static int parse(struct arguments *args, const struct command **command, int argc, char **argv, struct comm *comm)
{
    struct error err = {0};
    int code = arguments_parse(args, argc, argv, &err);
    if (code == 0) code = command_find(command, args, &err);
    if (code == 0) code = help_check(args, &err);
    code = comm_vote(comm, code, &err);
    if (code) error_report(&err);
    return code;
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

int main(int argc, char **argv)
{
    openmp_settle(argv);
    struct error err = {0};
    struct comm *comm;
    signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error of the write, like a full disk */
    if (comm_open(&comm, &argc, &argv, &err)) return error_report(&err);
    calls_watch();

    static struct arguments args;
    const struct command *command = NULL;
    int code = parse(&args, &command, argc, argv, comm);
    if (code == 0 && (args.help || args.version)) {
        if (comm->rank == 0 && args.help)
            help_print(stdout, &args);
        else if (comm->rank == 0)
            version_print(stdout);
    } else if (code == 0) {
        code = command->run(&args, comm);
    }
    code = finish_output(code);
    leave_code(comm, code);
    comm_close(comm);
    return code;
}
