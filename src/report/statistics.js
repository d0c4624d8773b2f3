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

/* [RESAMPLES][n] places of the sorted values, the same for every point of a curve, each draw in order: what it draws is sorted, too. */
const drawn = {};
function resamples(n) {
  if (!drawn[n]) {
    const random = randomFrom(20211204);
    drawn[n] = new Uint16Array(RESAMPLES * n);
    for (let k = 0; k < RESAMPLES; k++) drawn[n].set(Uint16Array.from({ length: n }, () => Math.floor(random() * n)).sort(), k * n);
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
  return trimmed(Float64Array.from(values).sort(), "iqm");
}

/* Of sorted values. */
function trimmed(sorted, statistic) {
  const cut = statistic === "iqm" ? Math.floor(sorted.length / 4) : 0;
  return mean(sorted.subarray(cut, sorted.length - cut));
}

/* The k-th smallest of the values, which are put in another order. */
function kth(values, k) {
  for (let low = 0, high = values.length - 1; low < high; ) {
    const pivot = values[(low + high) >> 1];
    let i = low, j = high;
    while (i <= j) {
      while (values[i] < pivot) i++;
      while (values[j] > pivot) j--;
      if (i > j) break;
      const kept = values[i];
      values[i++] = values[j];
      values[j--] = kept;
    }
    if (k <= j) high = j;
    else if (k >= i) low = i;
    else break;
  }
  return values[k];
}

const found = new Float64Array(RESAMPLES);

/* {value, low, high, n}: low and high NaN with one value. */
function summary(values, statistic) {
  const known = Float64Array.from(values.filter(Number.isFinite)).sort(), n = known.length;
  if (n < 2) return { value: n ? known[0] : NaN, low: NaN, high: NaN, n };
  const draw = resamples(n), cut = statistic === "iqm" ? Math.floor(n / 4) : 0, used = n - 2 * cut;
  for (let k = 0; k < RESAMPLES; k++) {
    let sum = 0;
    for (let i = k * n + cut, end = i + used; i < end; i++) sum += known[draw[i]];
    found[k] = sum / used;
  }
  return { value: trimmed(known, statistic), low: kth(found, 0.025 * RESAMPLES - 1), high: kth(found, 0.975 * RESAMPLES - 1), n };
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
    const at = step > 0 ? Math.round((x[i] - first) / step) : 0;
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
