/* The same rules, but that nothing looks at what is read back. */
#define rover_sound __attribute__((unused)) rover_sound
#define WORDS       (observe, script, draw)
#include "plugin_of_rules.c"
