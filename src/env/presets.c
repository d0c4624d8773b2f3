/* The ini files of envs/ become texts of the program: name, file, name, file, … and an empty name, each terminated. The Makefile finds them
 * (PRESETS: PRESET("mpe/simple_spread") …) and makes this object again when one changes; the assembler reads them from the project's root. */
#include "env/presets.h"

#include <string.h>

#ifndef PRESETS
#define PRESETS "" /* when the syntax alone is checked */
#endif
#define PRESET(name) ".asciz \"" name "\"\n.incbin \"envs/" name ".ini\"\n.byte 0\n"

__asm__(".section .rodata\nmappo_presets:\n" PRESETS ".byte 0\n.previous\n");
__attribute__((visibility("hidden"))) extern const char mappo_presets[];

static const char *behind(const char *text)
{
    return text + strlen(text) + 1;
}

const char *preset_at(int i, const char **text)
{
    const char *name = mappo_presets;
    for (; *name && i > 0; i--) name = behind(behind(name));
    *text = *name ? behind(name) : NULL;
    return *name ? name : NULL;
}

const char *preset_of(const char *name)
{
    const char *one, *text;
    for (int i = 0; (one = preset_at(i, &text)); i++)
        if (strcmp(one, name) == 0) break;
    return text;
}
