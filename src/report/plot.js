/* Charts: one metric over the axis that is chosen, a line and a band of each experiment. All charts of the page show the same part of the same
 * axis, and the same moment under the pointer. */

const view = { axis: "env_steps", smoothing: 0.02, statistic: "iqm", seeds: false, evaluations: true, environment: environments.length > 1 ? environments[0].name : null, domain: null, hover: null };
const charts = [];
const COLOURS = 8, GRID = { small: 150, large: 400 };

function colourOf(index) {
  return `var(--c${index % COLOURS})`;
}

function dashOf(index) {
  return ["", "6 3", "2 2", "8 3 2 3"][Math.floor(index / COLOURS) % 4];
}

/* ---- what is drawn ---- */

/* Of a chart of one environment, or of the one that is chosen (null: all). */
function bandsShown(environment = view.environment) {
  return bands.filter((band) => band.shown && (!environment || band.environment === environment));
}

/* From where to where the axis goes: of all runs that are shown. */
function wholeDomain(environment) {
  let low = Infinity, high = -Infinity;
  for (const run of bandsShown(environment).flatMap((band) => band.runs)) {
    const x = run.curves.x[view.axis];
    if (!x.length) continue;
    low = Math.min(low, x[0] ?? Infinity);
    high = Math.max(high, x[x.length - 1] ?? -Infinity);
  }
  if (!(high >= low)) return [0, 1];
  if (low < 0.2 * high) low = 0;
  return high > low ? [low, high] : [low, low + 1];
}

/* A part that somebody chose is of the environment in whose chart that was. */
function domainShown(environment = view.environment) {
  return view.domain && (view.domainOf || view.environment) === environment ? view.domain : wholeDomain(environment);
}

function smoothingWidth(domain) {
  return view.smoothing * (domain[1] - domain[0]);
}

/* Points from the one before the part that is shown to the one behind it. */
function partOf(x, [low, high]) {
  let from = 0, to = x.length;
  while (from + 1 < to && x[from + 1] < low) from++;
  while (to - 1 > from && x[to - 2] > high) to--;
  return [from, to];
}

function lineOfRun(run, name, domain) {
  const series = seriesOf(run, name);
  if (!series) return null;
  const [from, to] = partOf(run.curves.x[view.axis], domain);
  const cut = (values) => values.slice(from, to).map((value) => (value === null ? NaN : value));
  const x = cut(run.curves.x[view.axis]), raw = cut(series.mean);
  if (!raw.some(Number.isFinite)) return null;
  const line = { x, y: smoothed(x, raw, smoothingWidth(domain)) };
  if (view.smoothing > 0) line.raw = raw;
  if (series.low) Object.assign(line, { low: smoothed(x, cut(series.low), smoothingWidth(domain)), high: smoothed(x, cut(series.high), smoothingWidth(domain)) });
  return line;
}

function lineOfSeeds(band, name, points, domain) {
  const [low, high] = domain;
  const ends = band.seeds.map((run) => run.curves.x[view.axis]).filter((x) => x.length);
  if (!ends.length) return null;
  const first = Math.max(low, Math.min(...ends.map((x) => x[0]))), last = Math.min(high, Math.max(...ends.map((x) => x[x.length - 1])));
  const grid = Array.from({ length: points }, (_, i) => first + ((last - first) * i) / (points - 1));
  const seeds = [];
  for (const run of band.seeds) {
    const series = seriesOf(run, name);
    if (series) seeds.push({ run, y: smoothed(grid, onGrid(run.curves.x[view.axis], series.mean, grid), smoothingWidth(domain)) });
  }
  if (!seeds.length) return null;
  const at = grid.map((_, i) => summary(seeds.map((seed) => seed.y[i]), view.statistic));
  const pick = (key) => at.map((point) => point[key]);
  return { x: grid, y: pick("value"), low: pick("low"), high: pick("high"), n: pick("n"), seeds };
}

function lineOf(band, name, points, domain) {
  return band.seeds.length > 1 ? lineOfSeeds(band, name, points, domain) : lineOfRun(band.seeds[0], name, domain);
}

function linesOf(name, points, environment) {
  const lines = [], domain = domainShown(environment);
  for (const band of bandsShown(environment)) {
    const line = lineOf(band, name, points, domain);
    if (line) lines.push(Object.assign(line, { band, label: band.label, colour: colourOf(band.colour), dash: dashOf(band.colour) }));
  }
  return lines;
}

/* Shares of the time, each on top of those before it, of the first experiment that is shown. */
function phaseLines(points) {
  const [band] = bandsShown();
  if (!band) return [];
  const of = PHASES.map((phase) => lineOf(band, `seconds_${phase}`, points, domainShown()));
  const some = of.find(Boolean);
  if (!some) return [];
  const all = some.x.map((_, i) => of.reduce((sum, line) => sum + (line && line.y[i] > 0 ? line.y[i] : 0), 0));
  let below = some.x.map(() => 0);
  return PHASES.map((phase, p) => {
    const above = below.map((value, i) => value + (of[p] && of[p].y[i] > 0 && all[i] > 0 ? (100 * of[p].y[i]) / all[i] : 0));
    const line = { x: some.x, y: above.map((value, i) => value - below[i]), low: below, high: above, stacked: true, label: phase, colour: `var(--p${p})` };
    below = above;
    return line;
  }).filter((line) => line.y.some((value) => value > 0.05));
}

/* ---- scales ---- */

function niceTicks(low, high, most) {
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= rough * 0.999) || 10 * power;
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) ticks.push(Math.abs(k * step) < step * 1e-9 ? 0 : k * step);
  return ticks;
}

/* Of time: by minutes and hours. */
function timeTicks(low, high, most) {
  const steps = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 432000];
  const step = steps.find((one) => (high - low) / one <= most);
  if (!step || high - low < 4) return niceTicks(low, high, most);
  const ticks = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) ticks.push(k * step);
  return ticks;
}

function logTicks(low, high, most) {
  const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
  const every = Math.max(1, Math.ceil((last - first + 1) / most));
  const ticks = [];
  for (let k = first; k <= last; k += every) ticks.push(10 ** k);
  if (ticks.length < 2) return niceTicks(low, high, most).filter((tick) => tick > 0);
  return ticks;
}

/* A tick's label has the digits that tell it from its neighbours. */
function tickText(value, ticks, text = count) {
  if (value === 0) return "0";
  const largest = Math.max(...ticks.map(Math.abs)), step = ticks.length > 1 ? Math.min(...ticks.slice(1).map((tick, i) => Math.abs(tick - ticks[i]))) : Math.abs(value);
  const digits = Math.min(9, Math.max(2, Math.floor(Math.log10(largest) + 1e-9) - Math.floor(Math.log10(step) + 1e-9) + 2));
  if (text !== count) return text(value);
  if (largest >= 1e3) return count(value, digits).replace("-", "\u2212");
  if (largest < 1e-3 || Math.abs(value) < 1e-4) return value.toExponential(Math.min(2, digits - 2)).replace(/(\.\d*?)0+e/, "$1e").replace(".e", "e").replace(/-/g, "\u2212");
  return String(Number(value.toPrecision(digits))).replace("-", "\u2212");
}

function finite(values) {
  return values.filter(Number.isFinite);
}

/* How many times as high as the values alone a chart may be to show other players' returns beside them. */
const ROOM = 2.5;

/* The part of the values' range that is shown. Few points far outside must not flatten all others, nor must lines of reference. */
function rangeOf(lines, extra, references) {
  const values = lines.flatMap((line) => finite(line.y)).sort((a, b) => a - b);
  if (!values.length) return null;
  let low = values[0], high = values[values.length - 1];
  const inner = [quantile(values, 0.03), quantile(values, 0.97)], width = inner[1] - inner[0];
  const cut = { low: false, high: false };
  if (width > 0 && inner[0] - low > 4 * width) (low = inner[0] - width), (cut.low = true);
  if (width > 0 && high - inner[1] > 4 * width) (high = inner[1] + width), (cut.high = true);
  /* Bands are seen whole where they are not much wider than the lines' own range. */
  const room = 0.5 * (high - low || Math.abs(high) || 1);
  for (const line of lines) {
    if (!line.low) continue;
    for (let i = 0; i < line.low.length; i++) {
      if (line.low[i] < low && line.low[i] >= values[0] - room && !cut.low) low = line.low[i];
      if (line.high[i] > high && line.high[i] <= values[values.length - 1] + room && !cut.high) high = line.high[i];
    }
  }
  for (const value of extra) if (Number.isFinite(value)) (low = Math.min(low, value)), (high = Math.max(high, value));
  const least = low, most = high;
  for (const { y } of references) {
    const [below, above] = [Math.min(low, y), Math.max(high, y)];
    if (above - below <= ROOM * (most - least)) (low = below), (high = above);
  }
  const positive = values[0] > 0, decades = positive && values[0] > 0 ? Math.log10(quantile(values, 0.99) / quantile(values, 0.01)) : 0;
  return { low, high, cut, positive, wide: decades > 2, least: values[0], most: values[values.length - 1] };
}

/* ---- a chart ---- */

class Chart {
  /* spec: name, title, unit, help, large, phases, marks() of evaluations, references() of other players. */
  constructor(spec) {
    this.spec = spec;
    this.log = null; /* null: where it helps */
    this.dirty = true;
    this.seen = false;
    this.svg = svgElement("svg", { class: "plot", tabindex: "0", role: "img" });
    this.readout = h("span", { class: "readout" });
    this.logButton = h("button", { class: "quiet log", type: "button", title: "logarithmic scale", onclick: () => this.toggleLog() }, "log");
    const title = h("span", { class: "name", title: spec.help || "" }, spec.title || spec.name);
    this.element = h("figure", { class: spec.large ? "chart large" : "chart", "data-name": spec.name },
      h("figcaption", {}, title, spec.unit ? h("span", { class: "unit" }, spec.unit) : null, this.readout, exportButtons(this), spec.phases ? null : this.logButton), this.svg);
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.leave());
    this.svg.addEventListener("pointerdown", (event) => this.press(event));
    this.svg.addEventListener("pointerup", (event) => this.release(event));
    this.svg.addEventListener("dblclick", () => zoom(null));
    this.svg.addEventListener("keydown", (event) => this.key(event));
    this.svg.addEventListener("blur", () => this.leave());
    charts.push(this);
  }

  /* Has anything that is shown such a number? */
  applies() {
    return this.spec.phases || bandsShown(this.spec.environment).some((band) => band.runs.some((run) => run.curves.y[this.spec.name] !== undefined));
  }

  toggleLog() {
    this.log = !this.isLog;
    this.draw();
  }

  height() {
    return this.spec.large ? (this.width < 600 ? 240 : 340) : this.spec.medium ? 210 : 150;
  }

  draw() {
    this.dirty = false;
    this.width = Math.max(200, Math.floor(this.element.clientWidth || 320));
    const height = this.height(), points = this.spec.large ? GRID.large : GRID.small;
    this.lines = this.spec.phases ? phaseLines(points) : linesOf(this.spec.name, points, this.spec.environment);
    this.marks = this.spec.marks && view.evaluations ? this.spec.marks(domainShown(this.spec.environment)) : [];
    this.references = this.spec.references ? this.spec.references() : [];
    const range = this.spec.phases ? { low: 0, high: 100, cut: {} } : rangeOf(this.lines, this.marks.map((m) => m.y), this.references);
    this.element.classList.toggle("empty", !range || !this.lines.length);
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${height}`);
    this.svg.setAttribute("height", height);
    if (!range || !this.lines.length) {
      this.svg.innerHTML = `<text class="none" x="${this.width / 2}" y="${height / 2}">nothing to draw yet</text>`;
      return;
    }
    this.isLog = !this.spec.phases && range.positive && (this.log === null ? range.wide : this.log);
    this.logButton.setAttribute("aria-pressed", String(this.isLog));
    this.logButton.hidden = !range.positive;
    this.scale(range, height);
    this.paint(range, height);
    this.tell();
  }

  scale(range, height) {
    let { low, high } = range;
    if (this.isLog) (low = Math.max(range.least, quantile(this.lines.flatMap((l) => finite(l.y)).sort((a, b) => a - b), 0.002))), (high = range.most);
    const least = 1e-3 * Math.max(Math.abs(low), Math.abs(high)); /* what hardly changes looks so */
    if (!this.isLog && high > low && high - low < least) (low -= least / 2), (high += least / 2);
    if (!(high > low)) (low -= Math.abs(low) * 0.1 || 1), (high += Math.abs(high) * 0.1 || 1);
    const pad = this.spec.phases ? 0 : this.isLog ? 0 : 0.04 * (high - low);
    low -= pad;
    high += pad;
    const ticks = this.spec.large ? 6 : 4;
    this.yTicks = this.spec.phases ? [0, 25, 50, 75, 100] : this.isLog ? logTicks(low, high, ticks) : niceTicks(low, high, ticks);
    const labels = this.yTicks.map((tick) => tickText(tick, this.yTicks));
    const left = 14 + 6.2 * Math.max(2, ...labels.map((label) => label.length));
    this.area = { left, right: this.width - 10, top: 8, bottom: height - 20 };
    this.labels = labels;
    const domain = domainShown(this.spec.environment), { right, top, bottom } = this.area, left0 = this.area.left;
    const f = this.isLog ? Math.log : (v) => v, a = f(low), b = f(high);
    this.domain = domain;
    this.px = (x) => left0 + ((x - domain[0]) / (domain[1] - domain[0])) * (right - left0);
    this.py = (y) => bottom - ((f(this.isLog ? Math.max(y, 1e-300) : y) - a) / (b - a)) * (bottom - top);
    this.toX = (px) => domain[0] + ((px - left0) / (right - left0)) * (domain[1] - domain[0]);
  }

  path(x, y) {
    let text = "", pen = "M";
    for (let i = 0; i < x.length; i++) {
      if (!Number.isFinite(y[i]) || !Number.isFinite(x[i])) continue;
      text += `${pen}${this.px(x[i]).toFixed(1)} ${this.clip(this.py(y[i])).toFixed(1)}`;
      pen = "L";
    }
    return text;
  }

  /* Far outside is outside: numbers that no renderer can hold. */
  clip(py) {
    return Math.max(-2000, Math.min(4000, py));
  }

  bandPath(line) {
    const known = line.x.map((_, i) => i).filter((i) => Number.isFinite(line.low[i]) && Number.isFinite(line.high[i]));
    if (known.length < 2) return "";
    const point = (i, y) => `${this.px(line.x[i]).toFixed(1)} ${this.clip(this.py(y[i])).toFixed(1)}`;
    return `M${known.map((i) => point(i, line.high)).join("L")}L${known.reverse().map((i) => point(i, line.low)).join("L")}Z`;
  }

  paint(range, height) {
    const { left, right, top, bottom } = this.area, id = `clip-${charts.indexOf(this)}`, out = [];
    out.push(`<clipPath id="${id}"><rect x="${left}" y="${top}" width="${right - left}" height="${bottom - top}"/></clipPath>`);
    this.yTicks.forEach((tick, i) => {
      const y = this.py(tick).toFixed(1);
      out.push(`<line class="grid" x1="${left}" x2="${right}" y1="${y}" y2="${y}"/><text class="tick y" x="${left - 6}" y="${y}">${this.labels[i]}</text>`);
    });
    const most = Math.max(2, Math.floor((right - left) / 90)), [from, to] = this.domain;
    const ticks = view.axis === "seconds" ? timeTicks(from, to, most) : niceTicks(from, to, most);
    for (const tick of ticks) {
      const x = this.px(tick);
      const anchor = x > right - 14 ? "end" : "middle";
      out.push(`<line class="tickmark" x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${bottom}" y2="${bottom + 4}"/><text class="tick x" text-anchor="${anchor}" x="${Math.min(x, right).toFixed(1)}" y="${bottom + 15}">${tickText(tick, ticks, AXES[view.axis].text)}</text>`);
    }
    out.push(`<line class="axis" x1="${left}" x2="${right}" y1="${bottom}" y2="${bottom}"/>`, `<g clip-path="url(#${id})">`);
    for (const line of this.lines) if (line.low) out.push(`<path class="${line.stacked ? "stack" : "band"}" fill="${line.colour}" d="${this.bandPath(line)}"/>`);
    for (const reference of this.references) if (!this.beyond(reference)) out.push(this.referencePath(reference));
    for (const line of this.lines) out.push(line.stacked ? "" : this.linePaths(line));
    for (const mark of this.marks) out.push(this.markPath(mark));
    out.push("</g>");
    if (range.cut.high && !this.isLog) out.push(`<text class="cut" x="${right}" y="${top + 9}">↑ ${number(range.most, 3)}</text>`);
    if (range.cut.low && !this.isLog) out.push(`<text class="cut" x="${right}" y="${bottom - 4}">↓ ${number(range.least, 3)}</text>`);
    out.push(...this.referenceTexts(range.cut));
    out.push(`<rect class="select" hidden y="${top}" height="${bottom - top}"/><line class="cross" hidden y1="${top}" y2="${bottom}"/><g class="dots"></g>`);
    this.svg.innerHTML = out.join("");
    this.svg.setAttribute("aria-label", this.inWords());
    this.follow();
  }

  linePaths(line) {
    const style = `stroke="${line.colour}"${line.dash ? ` stroke-dasharray="${line.dash}"` : ""}`;
    let out = "";
    if (line.raw && !line.low) out += `<path class="raw" ${style} d="${this.path(line.x, line.raw)}"/>`;
    if (line.seeds && view.seeds) for (const seed of line.seeds) out += `<path class="seed" ${style} d="${this.path(line.x, seed.y)}"/>`;
    const one = finite(line.y).length === 1 ? line.y.findIndex(Number.isFinite) : -1;
    if (one >= 0) return out + `<circle class="lone" fill="${line.colour}" cx="${this.px(line.x[one])}" cy="${this.py(line.y[one])}" r="3"/>`;
    if (!line.seeds) return out + `<path class="line" ${style} d="${this.path(line.x, line.y)}"/>`;
    /* Fainter where some seeds have no value (any more): it is another mean there. */
    const whole = line.y.map((y, i) => (line.n[i] === line.band.seeds.length ? y : NaN));
    return out + `<path class="line partial" ${style} d="${this.path(line.x, line.y)}"/><path class="line" ${style} d="${this.path(line.x, whole)}"/>`;
  }

  markPath(mark) {
    const x = this.px(mark.x).toFixed(1), y = this.clip(this.py(mark.y));
    const error = Number.isFinite(mark.error)
      ? `<line x1="${x}" x2="${x}" y1="${this.clip(this.py(mark.y - mark.error)).toFixed(1)}" y2="${this.clip(this.py(mark.y + mark.error)).toFixed(1)}"/>` : "";
    return `<g class="mark" stroke="${mark.colour}">${error}<circle cx="${x}" cy="${y.toFixed(1)}" r="3"/></g>`;
  }

  referencePath(reference) {
    const y = this.py(reference.y).toFixed(1);
    return `<line class="reference" x1="${this.area.left}" x2="${this.area.right}" y1="${y}" y2="${y}"/>`;
  }

  /* 1 where it lies above what is shown, -1 below. */
  beyond(reference) {
    const y = this.py(reference.y);
    return y < this.area.top ? 1 : y > this.area.bottom || !Number.isFinite(y) ? -1 : 0;
  }

  /* Of what lies beyond: at that edge, one under another. */
  referenceTexts(cut) {
    const { right, top, bottom } = this.area, taken = { 1: cut.high && !this.isLog ? 1 : 0, "-1": cut.low && !this.isLog ? 1 : 0 };
    return this.references.map((reference) => {
      const side = this.beyond(reference), line = side ? 12 * taken[side]++ : 0;
      const y = side > 0 ? top + 9 + line : side < 0 ? bottom - 4 - line : this.py(reference.y) - 4;
      return `<text class="reference${side ? " beyond" : ""}" x="${right - 3}" y="${y.toFixed(1)}">${side ? `${side > 0 ? "↑" : "↓"} ` : ""}${reference.label}${side ? ` ${number(reference.y, 3)}` : ""}</text>`;
    });
  }

  /* For those who can't see it. */
  inWords() {
    const texts = this.lines.slice(0, 6).map((line) => {
      const known = finite(line.y);
      return `${line.label}: from ${number(known[0])} to ${number(known[known.length - 1])}`;
    });
    return `${this.spec.title || this.spec.name} over ${AXES[view.axis].label}. ${texts.join("; ")}. Arrow keys read values.`;
  }

  /* ---- values under the pointer ---- */

  /* The last point at or before x. */
  valueAt(line, x) {
    let found = -1;
    for (let i = 0; i < line.x.length; i++) {
      if (line.x[i] > x && found >= 0) break;
      if (Number.isFinite(line.y[i])) found = i;
    }
    if (found < 0 || x > line.x[line.x.length - 1] + (this.domain[1] - this.domain[0]) / 100) return null;
    return { x: line.x[found], y: line.y[found], low: line.low?.[found], high: line.high?.[found], n: line.n?.[found] };
  }

  tell() {
    if (this.lines.length !== 1 || this.spec.phases) {
      this.readout.textContent = "";
      return;
    }
    const line = this.lines[0], at = view.hover === null ? line.x[line.x.length - 1] : view.hover, point = this.valueAt(line, at);
    this.readout.textContent = point ? number(point.y) : "";
  }

  follow() {
    if (!this.lines?.length || !this.area) return;
    const cross = this.svg.querySelector(".cross"), dots = this.svg.querySelector(".dots");
    if (!cross) return;
    const shown = view.hover !== null && view.hover >= this.domain[0] && view.hover <= this.domain[1];
    cross.toggleAttribute("hidden", !shown);
    dots.innerHTML = "";
    if (!shown) return;
    const x = this.px(view.hover).toFixed(1);
    cross.setAttribute("x1", x);
    cross.setAttribute("x2", x);
    for (const line of this.lines) {
      const point = this.valueAt(line, view.hover);
      if (point && !line.stacked) dots.innerHTML += `<circle cx="${this.px(point.x).toFixed(1)}" cy="${this.clip(this.py(point.y)).toFixed(1)}" r="3" fill="${line.colour}"/>`;
    }
  }

  point(event) {
    if (!this.area) return;
    const box = this.svg.getBoundingClientRect(), px = ((event.clientX - box.left) / box.width) * this.width;
    if (this.from !== undefined) {
      const select = this.svg.querySelector(".select");
      select.removeAttribute("hidden");
      select.setAttribute("x", Math.min(px, this.from));
      select.setAttribute("width", Math.abs(px - this.from));
    }
    hover(Math.max(this.domain[0], Math.min(this.domain[1], this.toX(px))));
    this.tip(box.left + (this.px(view.hover) / this.width) * box.width, event.clientY);
  }

  leave() {
    hover(null);
    tip.hidden = true;
    this.from = undefined;
    this.svg.querySelector(".select")?.setAttribute("hidden", "");
  }

  press(event) {
    if (event.button || !this.area || event.pointerType === "touch") return;
    const box = this.svg.getBoundingClientRect();
    this.from = ((event.clientX - box.left) / box.width) * this.width;
    this.svg.setPointerCapture(event.pointerId);
  }

  release(event) {
    if (this.from === undefined) return;
    const box = this.svg.getBoundingClientRect(), to = ((event.clientX - box.left) / box.width) * this.width, from = this.from;
    this.from = undefined;
    this.svg.querySelector(".select")?.setAttribute("hidden", "");
    if (Math.abs(to - from) > 8) zoom([this.toX(Math.min(from, to)), this.toX(Math.max(from, to))].map((x, i) => (i ? Math.min : Math.max)(x, this.domain[i])), this.spec.environment);
  }

  key(event) {
    if (!this.area) return;
    const [low, high] = this.domain, step = (high - low) / 100, at = view.hover === null ? high : view.hover;
    const moves = { ArrowLeft: -step, ArrowRight: step, PageUp: -10 * step, PageDown: 10 * step, Home: low - at, End: high - at };
    if (event.key in moves) hover(Math.max(low, Math.min(high, at + moves[event.key])));
    else if (event.key === "+" || event.key === "=") zoom([at - (high - low) / 4, at + (high - low) / 4], this.spec.environment);
    else if (event.key === "-" || event.key === "Escape") zoom(null);
    else return;
    event.preventDefault();
    const box = this.svg.getBoundingClientRect();
    if (view.hover !== null) this.tip(box.left + (this.px(view.hover) / this.width) * box.width, box.top + box.height / 3);
  }

  tip(x, y) {
    const rows = this.lines.map((line) => ({ line, point: this.valueAt(line, view.hover) })).filter((row) => row.point);
    if (!this.spec.phases) rows.sort((a, b) => b.point.y - a.point.y);
    const most = 14, cells = rows.slice(0, most).map(({ line, point }) => {
      const spread = !line.stacked && Number.isFinite(point.low) && Number.isFinite(point.high) ? `${number(point.low)} … ${number(point.high)}` : "";
      const seeds = line.seeds && point.n < line.band.seeds.length ? `${point.n} of ${line.band.seeds.length} seeds` : "";
      return h("tr", {}, h("td", {}, h("i", { class: "swatch", style: `background:${line.colour}` })), h("td", { class: "label" }, rows.length > 1 || line.stacked ? line.label : ""),
        h("td", { class: "value" }, line.stacked ? `${point.y.toFixed(1)} %` : number(point.y)), h("td", { class: "spread" }, spread), h("td", { class: "spread" }, seeds));
    });
    tip.replaceChildren(h("div", { class: "where" }, `${AXES[view.axis].text(view.hover)} ${view.axis === "seconds" ? "" : AXES[view.axis].label}`), h("table", {}, ...cells),
      rows.length > most ? h("div", { class: "where" }, `and ${rows.length - most} more`) : "");
    tip.hidden = false;
    const box = tip.getBoundingClientRect(), width = document.documentElement.clientWidth;
    const left = x + 16 + box.width > width ? Math.max(4, x - 16 - box.width) : x + 16;
    tip.style.left = `${left + window.scrollX}px`;
    tip.style.top = `${Math.max(4, y - box.height - 12) + window.scrollY}px`;
  }
}

/* ---- all of them ---- */

function hover(x) {
  view.hover = x;
  for (const chart of charts) if (chart.seen && !chart.dirty) chart.follow(), chart.tell();
}

function zoom(domain, environment = view.environment) {
  const [low, high] = wholeDomain(environment);
  view.domainOf = environment;
  view.domain = domain ? [Math.max(low, domain[0]), Math.min(high, domain[1])] : null;
  document.getElementById("unzoom").hidden = !view.domain;
  redraw();
}

/* Those that are seen now; others when they are. */
function redraw(all = false) {
  for (const chart of charts) {
    chart.dirty = true;
    chart.element.hidden = !chart.applies() && bandsShown(chart.spec.environment).length > 0;
    if ((chart.seen || all) && !chart.element.hidden) chart.draw();
  }
}

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const chart = charts.find((one) => one.element === entry.target);
    chart.seen = entry.isIntersecting;
    if (chart.seen && chart.dirty) chart.draw();
  }
}, { rootMargin: "400px" });

let pending = 0;
const resizer = new ResizeObserver(() => {
  cancelAnimationFrame(pending);
  pending = requestAnimationFrame(() => {
    for (const chart of charts) if (chart.seen && Math.floor(chart.element.clientWidth) !== chart.width) chart.draw();
  });
});

/* ---- elements ---- */

function h(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

function svgElement(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

const tip = h("div", { id: "tip", role: "status", hidden: true });
