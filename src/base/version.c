#include "base/version.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/text.h"

#define MAPPO_VERSION "0.2.0"
#ifndef MAPPO_BUILD /* the Makefile gives the commit where there is one */
#define MAPPO_BUILD "no git"
#endif

const char *version_line(void)
{
    static char line[160];
    if (!line[0])
        text_format(line, sizeof line, "mappo %s (%s, %s)", MAPPO_VERSION, MAPPO_BUILD,
#ifdef __clang__
                    "clang " __clang_version__
#else
                    "gcc " __VERSION__
#endif
        );
    return line;
}

uint64_t version_program_hash(void)
{
    char *bytes = NULL;
    size_t size = 0;
    uint64_t hash = hash_text(HASH_START, version_line());
    if (!file_read("/proc/self/exe", (size_t)1 << 30, &bytes, &size, NULL)) hash = hash_bytes(hash, bytes, size);
    free(bytes);
    return hash;
}
