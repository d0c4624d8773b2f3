/* What a few runs that differ in their seed say together. */
#ifndef MAPPO_BASE_POOLED_H
#define MAPPO_BASE_POOLED_H

struct pooled {
    double mean;
    double middle;    /* interquartile mean: without the lowest and the highest quarter, each rounded down to whole values (as
                       * scipy.stats.trim_mean has it, and with it rliable: Agarwal et al. 2021) */
    double low, high; /* 95 % interval of the mean: quantiles of the means of values drawn anew with replacement (Efron's percentiles) */
};
/* Of value [n]; NaNs are passed over. All NaN where no value is left, and no interval of one. The same values in the same order give the same interval. */
struct pooled pooled_of(const double *value, int n);

#endif
