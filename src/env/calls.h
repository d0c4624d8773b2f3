/* Calls into an environment's own code. They note per thread who is called for what, so that a plugin that brings the whole process down is
 * named: one line, exit code EXIT_ENVIRONMENT, where it calls exit(), which is an error whatever code it gives, and where it crashes
 * (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT; with core dumps on, `ulimit -c`, it ends by the signal and leaves one). Costs two stores a
 * call, and a call is for a range of environments. Functions, arguments and results are those of struct mappo_env,
 * but that a create() which leaves another working directory has failed; a locale's decimal comma is set back with a warning. exit() in a
 * thread that nobody here started is an error, too (EXIT_INTERNAL). */
#ifndef MAPPO_ENV_CALLS_H
#define MAPPO_ENV_CALLS_H

#include <stdbool.h>

#include "env/mappo_env.h"

void calls_install_handlers(void); /* once, by main: handlers for signals and for exit. Without it calls are only noted. */

/* What goes on in this thread until calls_leave: environment "<id>" crashed <where>. Both texts must live as long. */
void calls_enter(const char *id, const char *where);
void calls_leave(void);

/* `environment "<id>" is in its step()`, of any thread that is in a call now; false: none is. Takes no lock and allocates nothing: for the
 * watchdog. */
bool calls_describe(char *text, size_t size);

int call_create(const struct mappo_env *env, const struct mappo_env_config *config, void **self, struct mappo_env_error *error);
void call_destroy(const struct mappo_env *env, void *self);
const struct mappo_env_spec *call_spec(const struct mappo_env *env, const void *self);
int call_reset(const struct mappo_env *env, void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io,
               struct mappo_env_error *error);
int call_step(const struct mappo_env *env, void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io,
              struct mappo_env_error *error);
int call_begin(const struct mappo_env *env, void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io,
               struct mappo_env_error *error);
int call_observe(const struct mappo_env *env, void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io);
int call_script(const struct mappo_env *env, void *self, int32_t lo, int32_t hi, int32_t *const act_int[], float *const act_real[]);
int call_draw(const struct mappo_env *env, const void *self, int32_t e, const struct mappo_canvas *canvas);
int call_draw_ended(const struct mappo_env *env, const void *self, const struct mappo_canvas *canvas);
int call_snapshot(const struct mappo_env *env, const void *self, int32_t e, void *bytes);
int call_restore(const struct mappo_env *env, void *self, int32_t e, const void *bytes, struct mappo_env_error *error);
int call_device(const struct mappo_env *env, void *self, struct mappo_device *out);

#endif
