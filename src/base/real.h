/* The floating-point type of learning. The program is built with float; the parity tests build backend/, nn/ and algo/ a second
 * time with -DMAPPO_REAL_DOUBLE. What an environment hands over (observations, rewards, actions) is float in both. */
#ifndef MAPPO_BASE_REAL_H
#define MAPPO_BASE_REAL_H

#ifdef MAPPO_REAL_DOUBLE
typedef double real;
#define REAL_IS_DOUBLE 1
#else
typedef float real;
#define REAL_IS_DOUBLE 0
#endif

#endif
