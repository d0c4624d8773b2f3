/* MAPPO_FN marks a function that host and device share: it lives in a header and stays in the intersection of C11 and C++17. */
#ifndef MAPPO_BASE_FN_H
#define MAPPO_BASE_FN_H

#ifndef MAPPO_FN
#ifdef __CUDACC__
#define MAPPO_FN static inline __host__ __device__
#else
#define MAPPO_FN static inline
#endif
#endif

#endif
