/* Where experiments differ in a number: what it did to the return. A dot an experiment, with its interval over seeds. */

const SWEEP = { width: 320, height: 150, experiments: 4, values: 3, keys: 8 };

/* Settings of these experiments that are numbers and take enough values. */
function sweptSettings(some) {
  return settingsApart(some).filter((entry) => {
    const values = some.map((band) => setting(band.runs[0], entry.key));
    return values.every((value) => value !== "" && Number.isFinite(Number(value))) && new Set(values).size >= SWEEP.values;
  }).slice(0, SWEEP.keys);
}

function sweepPicture(entry, dots) {
  const { width, height } = SWEEP, xs = dots.map((dot) => dot.x), ends = dots.flatMap((dot) => [dot.value, dot.low, dot.high]).filter(Number.isFinite);
  const low = Math.min(...ends), high = Math.max(...ends), pad = 0.06 * (high - low || Math.abs(high) || 1), yTicks = niceTicks(low - pad, high + pad, 4);
  const least = Math.min(...xs), most = Math.max(...xs), log = least > 0 && most / least >= 20, f = log ? Math.log : (x) => x;
  const labels = yTicks.map((tick) => tickText(tick, yTicks)), area = { left: 14 + 6.2 * Math.max(2, ...labels.map((label) => label.length)), right: width - 14, top: 8, bottom: height - 20 };
  const px = (x) => area.left + 8 + ((f(x) - f(least)) / (f(most) - f(least))) * (area.right - area.left - 16);
  const py = (y) => area.bottom - ((y - low + pad) / (high - low + 2 * pad)) * (area.bottom - area.top);
  const distinct = [...new Set(xs)].sort((a, b) => a - b), xTicks = distinct.length <= 5 ? distinct : log ? logTicks(least, most, 5) : niceTicks(least, most, 4);
  const out = yTicks.map((tick, i) => `<line class="grid" x1="${area.left}" x2="${area.right}" y1="${py(tick)}" y2="${py(tick)}"/><text class="tick y" x="${area.left - 6}" y="${py(tick)}">${labels[i]}</text>`);
  for (const tick of xTicks) out.push(`<line class="tickmark" x1="${px(tick)}" x2="${px(tick)}" y1="${area.bottom}" y2="${area.bottom + 4}"/><text class="tick x" text-anchor="middle" x="${px(tick)}" y="${area.bottom + 15}">${tickText(tick, xTicks)}</text>`);
  out.push(`<line class="axis" x1="${area.left}" x2="${area.right}" y1="${area.bottom}" y2="${area.bottom}"/>`);
  for (const dot of dots) {
    if (Number.isFinite(dot.low)) out.push(`<line stroke="${dot.colour}" stroke-width="1.5" x1="${px(dot.x)}" x2="${px(dot.x)}" y1="${py(dot.low)}" y2="${py(dot.high)}"/>`);
    out.push(`<circle class="lone" fill="${dot.colour}" cx="${px(dot.x)}" cy="${py(dot.value)}" r="4"/>`);
  }
  const svg = svgElement("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `return over ${entry.key}: ${dots.map((dot) => `${dot.x}: ${number(dot.value)}`).join(", ")}` });
  svg.innerHTML = out.join("");
  svg.querySelectorAll("circle").forEach((circle, i) => {
    const title = svgElement("title", {});
    title.textContent = `${dots[i].label}: ${number(dots[i].value)}`;
    circle.append(title);
  });
  return h("figure", { class: "chart sweep", "data-name": `sweep ${entry.key}` }, h("figcaption", {}, h("span", { class: "name mono", title: entry.help }, entry.key), log ? h("span", { class: "unit" }, "logarithmic") : null), svg);
}

/* Null where there is too little to see. */
function sweepCharts({ bands: some }) {
  if (some.length < SWEEP.experiments) return null;
  const { evaluated, of } = resultsOf(some);
  const dots = some.map((band) => ({ band, label: band.label, colour: colourOf(band.colour), ...summary(of(band), view.statistic) })).filter((dot) => Number.isFinite(dot.value));
  const keys = sweptSettings(some);
  if (!keys.length || dots.length < SWEEP.experiments) return null;
  return h("div", {}, h("h3", {}, evaluated ? "Evaluation over settings that vary" : "Training return over settings that vary", " ", h("small", {}, "a dot an experiment")),
    h("div", { class: "charts" }, keys.map((entry) => sweepPicture(entry, dots.map((dot) => ({ ...dot, x: Number(setting(dot.band.runs[0], entry.key)) }))))));
}
