#include "base/version.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/digest.h"
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
    /* In pieces that stay in the cache: a program with kernels for several devices has 100 MB. */
    enum { PIECE = 1 << 17 };
    uint64_t hash = hash_text(HASH_START, version_line());
    FILE *program = fopen("/proc/self/exe", "rb");
    char *piece = malloc(PIECE);
    CHECK(piece, "out of memory for a piece of the program");
    for (size_t size; program && (size = fread(piece, 1, PIECE, program)) > 0;) hash = hash_many_bytes(hash, piece, size);
    free(piece);
    if (program) fclose(program);
    return hash;
}
