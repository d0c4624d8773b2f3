/* The ini files become strings of the program. The assembler's .incbin reads them from the project's root, where make runs; the Makefile
 * knows that this object depends on them. A new file is one line in a table below (a test walks envs/ and misses none). */
#include "env/presets.h"

#include <stddef.h>

#define INI(symbol, file)                                                                                                                  \
    __asm__(".section .rodata\n" #symbol ":\n.incbin \"" file "\"\n.byte 0\n.previous\n");                                                 \
    __attribute__((visibility("hidden"))) extern const char symbol[]

INI(mappo_ini_mpe_simple_spread, "envs/mpe/simple_spread.ini");
INI(mappo_ini_on_policy, "envs/presets/on-policy.ini");

const struct preset env_presets[] = {
    {"mpe/simple_spread", mappo_ini_mpe_simple_spread},
    {NULL, NULL},
};

const struct preset named_presets[] = {
    {"on-policy", mappo_ini_on_policy},
    {NULL, NULL},
};
