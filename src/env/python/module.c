/* The modules of the workers become texts of the program: name, text, name, text, …, each terminated. The Makefile finds them (MODULES:
 * MODULE("mappo_worker") …) and makes this object again when one changes; the assembler reads them from the project's root. */
#include "env/python/module.h"

#ifndef MODULES
#define MODULES "" /* when the syntax alone is checked */
#endif
#define MODULE(name) ".asciz \"" name "\"\n.incbin \"src/env/python/" name ".py\"\n.byte 0\n"

__asm__(".section .rodata\nmappo_python:\n" MODULES "mappo_python_end:\n.previous\n");
__attribute__((visibility("hidden"))) extern const char mappo_python[], mappo_python_end[];

const char *python_modules(size_t *bytes)
{
    *bytes = (size_t)(mappo_python_end - mappo_python);
    return mappo_python;
}
