/* mappo version, --version: the program, what it was built with, and what it would run on here. */
#include "backend/backend.h"
#include "backend/devices.h"
#include "base/version.h"
#include "cmd/cmd.h"
#include "run/checkpoint_image.h"

void version_print(FILE *out)
{
    struct error err = {0};
    struct backend *backend;
    char mpi[128];
    comm_library(mpi, sizeof mpi);
    fprintf(out, "%s\n", version_line());
    fprintf(out, "program   %016llx (hash of the executable)\n", (unsigned long long)version_program_hash());
    fprintf(out, "MPI       %s\n", mpi);
    fprintf(out, "files     %s\n", image_library());
    /* The detail names the instruction level in force. */
    if (backend_open(&backend, &(struct backend_config){.name = "cpu", .threads = 1, .level = -1}, &err) == 0) {
        fprintf(out, "cpu       %s\n", backend->detail);
        backend->close(backend);
    }
    struct device_build build;
    device_list(&build, NULL, 0);
    if (build.toolkit[0])
        fprintf(out, "CUDA      %s, code for %s\n", build.toolkit, build.code);
    else
        fputs("CUDA      none\n", out);
}

int cmd_version(const struct arguments *args, struct comm *comm)
{
    (void)args;
    if (comm->rank == 0) version_print(stdout);
    return EXIT_DONE;
}
