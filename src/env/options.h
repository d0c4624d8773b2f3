/* Options of an environment: env.NAME=VALUE against its table. */
#ifndef MAPPO_ENV_OPTIONS_H
#define MAPPO_ENV_OPTIONS_H

#include "base/check.h"
#include "env/mappo_env.h"
#include "env/vecenv.h"

enum { OPTIONS_MAX = 64, OPTION_TEXT = 256, OPTIONS_TEXT = 4096 }; /* options; bytes of a value, and of all of them as one text */

/* EXIT_ENVIRONMENT where the table itself is not what the interface allows: nothing else here may be called then. */
int options_check(const struct mappo_env *env, struct error *err);
int options_count(const struct mappo_env *env);
/* Fills value [options_count] with what was given and defaults elsewhere (the last of two wins), and `text` with "N=3 rules=mpe2 …", where
 * a TEXT stands in quotes as a shell reads them if it has to. Values that are texts point to what was given, or into the table.
 * EXIT_USAGE: unknown option with the nearest one named, wrong type, out of range, not one of the choices. */
int options_read(const struct mappo_env *env, const struct env_option *given, int count, struct mappo_value *value, char *text, size_t size,
                 struct error *err);
/* Whether what was given means the options of which `text` was written by options_read, maybe when others were the defaults: each that it
 * lists has the value that is in force, and those that came later are at their defaults. */
bool options_still(const struct mappo_env *env, const struct env_option *given, int count, const char *text);
/* A value as its option would be written, without quotes. `text` has room for OPTION_TEXT. */
void options_value(const struct mappo_option *option, const struct mappo_value *value, char *text, size_t size);
/* Spells the `value` of option `name` as options_value does: "0.50" becomes "0.5". What is no option or can't be read stays. */
void options_plain(const struct mappo_env *env, const char *name, char *value, size_t size);
/* Writes value of option k as options_value does; whether that is not its default. */
bool options_differs(const struct mappo_env *env, int k, const struct mappo_value *value, char *text, size_t size);
/* Whether option k says how the environment steps, not what it is. */
bool options_changeable(const struct mappo_env *env, int k);
/* Of value [options_count] those that are not the defaults: "N=5". */
void options_changed(const struct mappo_env *env, const struct mappo_value *value, char *text, size_t size);
/* "1..64", "0..1", "mpe2, on-policy", "0 or 1", "0..60 bytes": what an option may be. */
void options_range(const struct mappo_option *option, char *text, size_t size);
const char *options_type_name(const struct mappo_option *option);

#endif
