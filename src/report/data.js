/* The report's data in one shape: `report` as it was written, `bands` of runs that are seeds of one experiment, what of them
 * counts, texts of numbers. */

const report = JSON.parse(document.getElementById("data").textContent);
const PHASES = ["step", "infer", "update", "communication", "save", "eval"];
const AXES = {
  env_steps: { title: "Steps", label: "environment steps", text: count },
  episodes: { title: "Episodes", label: "episodes", text: count },
  seconds: { title: "Time", label: "training time", text: duration },
};

/* ---- texts ---- */

function count(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  for (const [unit, name] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]])
    if (size >= unit * 0.99995) return trim((value / unit).toPrecision(Math.max(digits, Math.floor(Math.log10(size / unit)) + 1))) + name;
  return trim(String(Number(value.toPrecision(Math.max(4, digits)))));
}

function trim(text) {
  return text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text;
}

function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 1) return trim(seconds.toPrecision(2)) + " s";
  if (seconds < 60) return trim(seconds.toPrecision(3)) + " s";
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min${seconds % 60 >= 1 ? " " + Math.floor(seconds % 60) + " s" : ""}`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h${minutes % 60 ? " " + (minutes % 60) + " min" : ""}`;
  return `${Math.floor(hours / 24)} d${hours % 24 ? " " + (hours % 24) + " h" : ""}`;
}

/* A measured value: four digits, a real minus. */
function number(value, digits = 4) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  let text;
  if (value === 0) text = "0";
  else if (size >= 1e6 || size < 1e-4) text = value.toExponential(digits - 2).replace("e+", "e");
  else if (size >= 10 ** (digits - 1)) text = String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  else text = value.toPrecision(digits);
  return text.replace("-", "\u2212");
}

/* "-111.7 ± 2.6": as many decimals as the error has use for. */
function estimate(mean, error) {
  if (!Number.isFinite(mean)) return "–";
  if (!Number.isFinite(error)) return number(mean);
  if (error === 0) return `${trim(number(mean))} ± 0`;
  const decimals = error > 0 ? Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(error)))) : 3;
  return `${mean.toFixed(decimals).replace("-", "\u2212")} ± ${error.toFixed(decimals)}`;
}

function moment(text) {
  return text ? text.replace("T", " ").replace(/:\d\dZ$/, " UTC") : "";
}

function plural(n, word) {
  return `${n}\u00a0${word}${n === 1 ? "" : "s"}`;
}

/* ---- settings ---- */

function setting(run, key) {
  const entry = settingOf[key];
  if (!entry) return "";
  return entry.values ? entry.values[run.index] : entry.value;
}

const settingOf = Object.fromEntries(report.settings.map((entry) => [entry.key, entry]));
const apart = report.settings.filter((entry) => entry.apart);

/* "run-a", or with as much of its folder as tells it from the others. */
function nameRuns() {
  const parts = report.runs.map((run) => run.path.split("/").filter(Boolean));
  for (let depth = 1; depth < 8; depth++) {
    const names = parts.map((part) => part.slice(-depth).join("/"));
    report.runs.forEach((run, i) => (run.name = names[i] || run.path));
    if (new Set(names).size === names.length) return;
  }
}

/* ---- bands ---- */

const BARE = ["env.name", "algo.name", "policy.kind"];

/* Settings in which these bands are not all alike, of those that make another experiment: what people name first, and options of the
 * environment last. */
function settingsApart(some) {
  const rank = (entry) => (BARE.includes(entry.key) ? 0 : entry.key.startsWith("env.") ? 2 : 1);
  return apart.filter((entry) => new Set(some.map((band) => entry.values[band.runs[0].index])).size > 1).sort((a, b) => rank(a) - rank(b));
}

/* "gamma=0.95" where no other setting that sets these runs apart ends alike. */
function word(key, value, keys) {
  if (BARE.includes(key)) return value;
  if (key.startsWith("group.")) return `${key.slice(6)}=${value}`;
  const last = key.split(".").pop(), alike = keys.filter((entry) => entry.key.split(".").pop() === last);
  return `${alike.length === 1 ? last : key}=${value || "none"}`;
}

/* What the experiments of one environment are called: the settings in which they are not as the others, where few differ all of these. */
function nameBands(some) {
  const keys = settingsApart(some);
  for (const band of some) {
    const first = band.runs[0];
    const told = keys.filter((entry) => {
      if (entry.key.startsWith("group.") && !setting(first, entry.key)) return false; /* it is left to the others' */
      if (keys.length <= 3) return true;
      const same = some.filter((other) => setting(other.runs[0], entry.key) === setting(first, entry.key)).length;
      return 2 * same <= some.length;
    });
    band.label = told.slice(0, 3).map((entry) => word(entry.key, setting(first, entry.key), keys)).join(", ") + (told.length > 3 ? ` and ${told.length - 3} more` : "");
    if (!band.label) band.label = some.length > 1 ? "as most" : bandAt.length > 1 ? setting(first, "algo.name") : band.seeds.length > 1 ? plural(band.seeds.length, "seed") : first.name;
  }
  for (const band of some) band.shared = some.some((other) => other !== band && other.label === band.label);
  for (const band of some) if (band.shared) band.label += ` (${band.runs[0].name})`;
}

/* By their settings: numbers by their size. */
function compareValues(a, b) {
  const size = Number(a) - Number(b);
  return a !== "" && b !== "" && Number.isFinite(size) ? size : a.localeCompare(b, "en", { numeric: true });
}

function compareBands(a, b, keys) {
  for (const entry of keys) {
    const order = compareValues(setting(a.runs[0], entry.key), setting(b.runs[0], entry.key));
    if (order) return order;
  }
  return 0;
}

/* ---- what counts ---- */

/* Of less than this part of the way that others of its experiment went, a result is another one. */
const SAME_STEPS = 0.9;

/* A seed counts once: with the run that went furthest. */
function countSeeds(band) {
  const chosen = new Map(), seedOf = (run) => run.seed || run.path;
  for (const run of band.runs) {
    const other = chosen.get(seedOf(run));
    if (!other || run.env_steps > other.env_steps || (run.env_steps === other.env_steps && run.state === "finished" && other.state !== "finished")) chosen.set(seedOf(run), run);
  }
  band.seeds = [...chosen.values()];
  for (const run of band.runs) if (chosen.get(seedOf(run)) !== run) run.sameSeed = chosen.get(seedOf(run));
}

/* Why what a run has come to is none of its experiment's results; "" where it is one. */
function judge(band) {
  const playedAt = (run) => (run.played?.players ? (run.played.best ? run.env_steps : run.played.env_steps) : 0);
  const furthest = Math.max(...band.seeds.map((run) => run.env_steps)), played = Math.max(...band.seeds.map(playedAt));
  for (const run of band.runs) {
    const at = playedAt(run), same = run.sameSeed ? `same seed as ${run.sameSeed.name}` : "";
    run.trainingOut = same || (run.env_steps < SAME_STEPS * furthest ? "fewer steps" : "");
    run.fallback = Boolean(run.played?.players) && !run.played.newest && !run.played.best;
    run.evaluationOut = same || (at === 0 && run.env_steps > 0 ? "untrained" : run.fallback && at < SAME_STEPS * run.env_steps ? "an older checkpoint" : at < SAME_STEPS * played ? "fewer steps" : "");
  }
}

function trainedOf(run) {
  return run.played?.players?.find((player) => player.who === "trained");
}

function counted(band) {
  return band.seeds.filter((run) => trainedOf(run) && !run.evaluationOut);
}

/* One kind of result for all experiments that are compared: evaluations where each has some, else training's returns. */
function resultsOf(some) {
  const evaluated = some.every((band) => counted(band).length);
  return { evaluated, of: (band) => (evaluated ? counted(band).map((run) => trainedOf(run).return[0]) : band.seeds.filter((run) => !run.trainingOut).map((run) => run.return)) };
}

function prepareRun(run, index) {
  run.index = index;
  run.seed = setting(run, "train.seed");
  run.curves.length = run.curves.x.env_steps.length;
  const last = run.curves.length - 1;
  run.seconds = last >= 0 ? run.curves.x.seconds[last] : NaN;
  run.episodes = last >= 0 ? run.curves.x.episodes[last] : NaN;
  run.silent = run.ended === "unsaid"; /* it stopped without a word in its log */
  run.environment = setting(run, "env.name");
}

/* A variant has a name that says more, where all runs of an environment are that. */
function nameVariants() {
  for (const run of report.runs) run.alike = report.runs.filter((other) => setting(other, "env.name") === setting(run, "env.name"));
  for (const run of report.runs) if (run.variant && run.alike.every((other) => other.variant === run.variant)) run.environment = run.variant;
}

report.runs.forEach(prepareRun);
nameVariants();
nameRuns();
const bandAt = Array.from({ length: report.bands }, (_, index) => ({ runs: report.runs.filter((run) => run.band === index), shown: true }));
/* Returns of two environments can't be compared: each has curves, colours and tables of its own. */
const environments = [...new Set(report.runs.map((run) => run.environment))].map((name) => ({ name, bands: bandAt.filter((band) => band.runs[0].environment === name) }));
for (const band of bandAt) {
  band.runs.sort((a, b) => compareValues(a.seed, b.seed) || a.index - b.index);
  for (const run of band.runs) run.of = band;
  countSeeds(band);
  judge(band);
}
for (const { name, bands: some } of environments) {
  const keys = settingsApart(some);
  some.sort((a, b) => compareBands(a, b, keys));
  nameBands(some);
  some.forEach((band, i) => ((band.environment = name), (band.colour = i)));
}
const bands = environments.flatMap((environment) => environment.bands);
report.runs = bands.flatMap((band) => band.runs);
for (const band of bands) {
  const seeds = band.runs.map((run) => run.seed);
  for (const run of band.runs) run.label = new Set(seeds).size === seeds.length && run.seed ? `seed ${run.seed}` : run.name;
}

/* Points of one run: NaN where there is none. A number that never changes is stored once. */
function seriesOf(run, name) {
  const stored = run.curves.y[name];
  if (stored === undefined) return null;
  if (typeof stored !== "object") return { mean: new Array(run.curves.length).fill(stored) };
  return stored;
}

function metricNames() {
  const names = [];
  for (const run of report.runs) for (const name of Object.keys(run.curves.y)) if (!names.includes(name)) names.push(name);
  return names;
}

/* Does it never change, in no run? */
function isConstant(name) {
  return new Set(report.runs.map((run) => run.curves.y[name]).filter((y) => y !== undefined).map((y) => (typeof y === "object" ? NaN : y))).size === 1 &&
    report.runs.every((run) => typeof run.curves.y[name] !== "object");
}

function meaningOf(name) {
  const [unit, help] = report.meanings[name] || report.meanings[name.split("/")[0]] || ["", ""];
  return { unit: unit === "1" ? "" : unit.replace("^2", "²"), help };
}
