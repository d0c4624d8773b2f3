/* Checkpoints while a run goes on: one that fails leaves the older ones as they are, and training goes on. */
#include "run/trainer_work.h"

enum { SAVES_MAY_FAIL = 3 };

void save_note_best(struct trainer *t, double return_mean)
{
    t->best = true;
    t->kept_best_return = t->standing.best_return;
    t->kept_best_env_steps = t->standing.best_env_steps;
    t->standing.best_return = return_mean;
    t->standing.best_env_steps = t->standing.env_steps;
}

/* Whether what is saved now is the best so far; a later save is not. */
static bool take_best(struct trainer *t)
{
    const bool best = t->best;
    t->best = false;
    return best;
}

int save_wait(struct trainer *t, struct error *err)
{
    struct error failed = {0};
    if (!t->saving) return 0;
    if (!trainer_save_end(t, &failed)) {
        t->failed_saves = 0;
        return 0;
    }
    if (failed.code == EXIT_PEERS) return error_set(err, failed.code, "%.1000s", failed.text);
    t->failed_saves++;
    if (t->saving_best) { /* the best one on disk is still the one before */
        t->standing.best_return = t->kept_best_return;
        t->standing.best_env_steps = t->kept_best_env_steps;
    }
    if (t->comm->rank == 0) warn("%s; this checkpoint is left out (%d in a row)", failed.text, t->failed_saves);
    if (t->failed_saves < SAVES_MAY_FAIL) return 0;
    return error_set(err, EXIT_CHECKPOINT, "%d checkpoints in a row could not be saved: %.800s", t->failed_saves, failed.text);
}

int save_next(struct trainer *t, struct error *err)
{
    const int code = save_wait(t, err);
    if (code) return code;
    trainer_save_begin(t, take_best(t));
    return t->learning.backend->host_memory ? save_wait(t, err) : 0;
}

int save_last(struct trainer *t, struct error *err)
{
    const int code = save_wait(t, err);
    return code ? code : trainer_save(t, take_best(t), err);
}
