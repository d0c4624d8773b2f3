/* --version: the program, what it was built with, and what it runs on. */
#include <string.h>

#include "backend/backend.h"
#include "base/version.h"
#include "cmd/cmd.h"
#include "comm/comm.h"
#include "run/checkpoint_image.h"

void version_print(FILE *out, const struct comm *comm)
{
    printf("%s\n", version_line());
    (void)out, (void)comm;
}
