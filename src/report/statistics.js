/* Over seeds: mean, interquartile mean and bootstrap bands (Agarwal et al. 2021); over steps: smoothing. */

const RESAMPLES = 1000;
const METHOD =
  "Bands over seeds: 95 % percentile bootstrap of the statistic, 1000 resamples of the runs with a fixed seed (Agarwal et al. 2021; one environment a band is one stratum). " +
  "The interquartile mean leaves out a quarter of the seeds at either end, rounded down: below four seeds it is the mean. " +
  "Bands of single runs: least and greatest value of the updates that a point stands for, smoothed as the line is.";

/* A small generator with a seed of its own (mulberry32), so that a page always shows the same. */
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/* [RESAMPLES][n] numbers of the runs drawn, the same for every point of a curve. */
const drawn = {};
function resamples(n) {
  if (!drawn[n]) {
    const random = randomFrom(20211204);
    drawn[n] = Uint16Array.from({ length: RESAMPLES * n }, () => Math.floor(random() * n));
  }
  return drawn[n];
}

function mean(values) {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
}

/* A quarter of the values left out at either end, rounded down (scipy's trim_mean of rliable). */
function interquartileMean(values) {
  const cut = Math.floor(values.length / 4);
  return cut ? mean(Float64Array.from(values).sort().subarray(cut, values.length - cut)) : mean(values);
}

const STATISTICS = { iqm: interquartileMean, mean };
const found = new Float64Array(RESAMPLES);

/* {value, low, high, n}: low and high NaN with one value. */
function summary(values, statistic) {
  const known = values.filter(Number.isFinite), n = known.length;
  if (!n) return { value: NaN, low: NaN, high: NaN, n };
  const of = n < 4 ? mean : STATISTICS[statistic], draw = resamples(n), drawing = new Float64Array(n);
  if (n === 1) return { value: known[0], low: NaN, high: NaN, n };
  for (let k = 0; k < RESAMPLES; k++) {
    for (let i = 0; i < n; i++) drawing[i] = known[draw[k * n + i]];
    found[k] = of(drawing);
  }
  found.sort();
  return { value: of(known), low: quantile(found, 0.025), high: quantile(found, 0.975), n };
}

/* Of sorted values. */
function quantile(sorted, q) {
  if (!sorted.length) return NaN;
  const at = q * (sorted.length - 1), below = Math.floor(at);
  const above = Math.min(sorted.length - 1, below + 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

/* Values at x on the places of a grid: the mean of the points that lie nearest to each, else between the two beside it; NaN outside. */
function onGrid(x, y, grid) {
  const sum = new Float64Array(grid.length), points = new Uint32Array(grid.length);
  const first = grid[0], step = grid.length > 1 ? grid[1] - grid[0] : 1;
  const known = [];
  for (let i = 0; i < x.length; i++) {
    if (!Number.isFinite(x[i]) || y[i] === null || !Number.isFinite(y[i])) continue;
    known.push(i);
    const at = Math.round((x[i] - first) / step);
    if (at < 0 || at >= grid.length) continue;
    sum[at] += y[i];
    points[at]++;
  }
  const out = new Array(grid.length).fill(NaN);
  if (!known.length) return out;
  for (let g = 0, k = 0; g < grid.length; g++) {
    if (points[g]) {
      out[g] = sum[g] / points[g];
      continue;
    }
    while (k < known.length && x[known[k]] < grid[g]) k++;
    if (k === 0 || k === known.length) continue;
    const a = known[k - 1], b = known[k];
    out[g] = y[a] + ((grid[g] - x[a]) / (x[b] - x[a])) * (y[b] - y[a]);
  }
  return out;
}

/* A mean over neighbours whose weight falls to nothing `width` away on the axis, so that nothing lags. */
function smoothed(x, y, width) {
  if (!(width > 0)) return y;
  const out = new Array(y.length).fill(NaN);
  let from = 0;
  for (let i = 0; i < y.length; i++) {
    if (!Number.isFinite(y[i])) continue;
    while (from < i && x[from] < x[i] - width) from++;
    /* A curve keeps its beginning, which is often steep: there the neighbourhood is cut on both sides alike. */
    const reach = Math.max(Math.min(width, x[i] - x[0]), width / 8);
    let sum = 0, weights = 0;
    for (let k = from; k < y.length && x[k] <= x[i] + reach; k++) {
      if (!Number.isFinite(y[k])) continue;
      const weight = 1 - Math.abs(x[k] - x[i]) / reach;
      if (weight <= 0) continue;
      sum += weight * y[k];
      weights += weight;
    }
    out[i] = weights ? sum / weights : y[i];
  }
  return out;
}
