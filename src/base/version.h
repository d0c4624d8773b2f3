/* Which program this is. */
#ifndef MAPPO_BASE_VERSION_H
#define MAPPO_BASE_VERSION_H

#include <stdint.h>

const char *version_line(void);      /* "mappo 0.1.0 (git abc1234, gcc 12.2.0)" */
uint64_t version_program_hash(void); /* of the running executable's bytes: ranks started with different binaries differ */

#endif
