/* A page in the terminal that is drawn anew: on a screen of its own, so that what was there before is there afterwards. Signals that would end,
 * stop or resize the program are noticed while it waits, and everything is written by the one thread that draws. */
#ifndef MAPPO_CMD_SCREEN_H
#define MAPPO_CMD_SCREEN_H

#include <stdbool.h>

#include "base/check.h"

bool screen_unicode(void); /* the locale's letters are UTF-8 */

/* Columns and lines of the terminal; of COLUMNS and LINES, or 80 and 24, where it doesn't say. */
void screen_size(int *columns, int *lines);

int screen_open(struct error *err); /* EXIT_INTERNAL */
void screen_close(void);

/* A page: lines that end in \n, drawn from the top; what an older page has left is removed. */
void screen_draw(const char *page);

/* Waits; false: a signal or the key q asks for the end. `redraw` is called when the size has changed or the program goes on after Ctrl-Z. */
bool screen_wait(double seconds, void (*redraw)(void *user), void *user);

#endif
