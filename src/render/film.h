/* A film: what an environment draws (mappo_env.h, struct mappo_canvas) of each state of one episode or several, recorded once, so that any
 * painter can show it: a painter is a canvas, and walks the film's frames.
 *
 *     film_create ── film_begin ── film_shoot … film_shoot ── film_begin …      record: vecenv_draw on the canvas of each frame
 *     film_frames, film_frame, film_paint                                       show, as often as wanted
 *
 * A frame is the state after `step` steps: frame 0 of an episode is how it begins, the last one how it ended (where the environment can
 * draw that), so an episode of n steps that was recorded whole has n + 1 frames. World coordinates, y up, as they were drawn. Everything is
 * copied; the film belongs to its caller, what it hands out to the film. Memory that is not there ends the program. */
#ifndef MAPPO_RENDER_FILM_H
#define MAPPO_RENDER_FILM_H

#include <stdbool.h>

#include "env/mappo_env.h"

struct film;

struct film_episode {
    int64_t number;    /* of the evaluation: it can be played again by it */
    int first, frames; /* among the film's */
    bool whole;        /* it has ended: its last frame is its end, or the state before where the environment doesn't draw that */
    int64_t steps;     /* of the whole episode, or of what there is of it */
    double ret;        /* the team's return of these */
};

/* Rewards are means over a group's agents, as group returns are; those of the team are what is reported as the return (metrics.return). */
struct film_frame {
    int episode;        /* index of its film_episode */
    int64_t step;       /* steps taken */
    double reward, ret; /* the team's: of the step that led here (frame 0: 0), and of all until now */
    double group_reward[MAPPO_MAX_GROUPS], group_ret[MAPPO_MAX_GROUPS];
};

/* title: one line above all frames, "mpe/simple_spread, mpe2 rules". spec: whose groups the rewards are of; not needed any more afterwards. */
struct film *film_create(const char *title, const struct mappo_env_spec *spec);
void film_destroy(struct film *film); /* NULL is allowed */

/* Who plays the episodes that begin from now on: "scripted". */
void film_players(struct film *film, const char *who);
/* Whose return is reported, where not all groups are of that team. */
void film_team(struct film *film, const struct mappo_env_spec *spec, int team);
/* The next frames are of this episode. */
void film_begin(struct film *film, int64_t number);
/* Begins a frame: what is drawn on the returned canvas until the next call belongs to it. frame->episode is set here. */
const struct mappo_canvas *film_shoot(struct film *film, const struct film_frame *frame);
/* The episode whose frames were shot last has ended so: with its steps and returns, whether this frame was shot or not. */
void film_end(struct film *film, const struct film_frame *last);

const char *film_title(const struct film *film);
int film_groups(const struct film *film);
const char *film_group(const struct film *film, int g);
int film_episodes(const struct film *film);
const struct film_episode *film_episode(const struct film *film, int k);
int film_frames(const struct film *film);
const struct film_frame *film_frame(const struct film *film, int i);

bool film_has_images(const struct film *film); /* some frame has pixels of its own */

/* Which of the film's colours of circles this is, from 0 in the order in which they were drawn first, whatever their alpha: for signs where
 * there is no colour. Those after the FILM_COLOURS-th are the last. */
enum { FILM_COLOURS = 8 };
int film_colour(const struct film *film, uint32_t colour);

/* The part of the world that frame i shows: x0, y0, x1, y1. */
void film_view(const struct film *film, int i, double view[4]);

/* Draws frame i again: canvas->view first, whatever the environment called, then its shapes in their order. With `trail` steps the way of
 * each circle over as many frames before is drawn as lines beneath the first circle that moved, the older the fainter; 0 = none. The k-th
 * circle of a frame is the k-th of the one before, in frames that have as many, where it has the same size and colour and went no farther
 * than a quarter of the view. Circles much smaller than the largest of its episode that moves leave none: they are carried. */
void film_paint(const struct film *film, int i, int trail, const struct mappo_canvas *canvas);
/* As film_paint, with the trails (lines only, from the older end to the newer) on `way`: for who does something else with them. */
void film_paint_ways(const struct film *film, int i, int trail, const struct mappo_canvas *canvas, const struct mappo_canvas *way);

/* What is told below frame i, in cells of one or two words: "step 12", "reward -0.51", "return -12.3", and where there are several groups each
 * one's return, "adversary 3.1". */
enum film_cell { FILM_CELL_STEP, FILM_CELL_REWARD, FILM_CELL_RETURN, FILM_CELL_GROUPS };
int film_cells(const struct film *film);
void film_cell(const struct film *film, int i, int cell, char *text, size_t size);
/* "episode 3, scripted: return -12.3 in 25 steps"; of several groups "return 70 of adversary in 25 steps" */
void film_episode_title(const struct film *film, int k, char *text, size_t size);

#endif
