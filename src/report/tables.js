/* The page's tables: evaluations beside random and scripted play, runs with what they said, settings with what differs. */

/* ---- evaluation ---- */

/* Rows of one environment: experiments with their seeds, then those who know no networks. */
function evaluationRows(title) {
  const mine = report.runs.filter((run) => run.played?.title === title), rows = [];
  for (const band of bands) {
    const runs = band.runs.filter((run) => mine.includes(run));
    if (!runs.length) continue;
    const returns = runs.map((run) => trainedOf(run).return[0]), several = runs.length > 1;
    const whole = several ? summary(returns, view.statistic) : null;
    if (several) rows.push({ kind: "band", band, several, label: band.label, colour: colourOf(band.colour), value: whole.value, low: whole.low, high: whole.high, text: `${number(whole.value)}`, interval: Number.isFinite(whole.low) ? `${number(whole.low)} … ${number(whole.high)}` : "", about: plural(runs.length, "seed"), length: mean(runs.map((run) => trainedOf(run).length)), infos: infoMeans(runs), groups: groupMeans(runs) });
    for (const run of runs) {
      const player = trainedOf(run);
      rows.push({ ...playerRow(player), kind: several ? "part" : "band", band, label: several ? run.label : bands.length > 1 && band.label ? band.label : run.name, colour: several ? null : colourOf(band.colour), about: `at ${count(run.played.env_steps)}`, checkpoint: run.played.checkpoint });
    }
  }
  for (const who of ["scripted", "random"]) {
    const player = mine.flatMap((run) => run.played.players).find((one) => one.who === who);
    if (player) rows.push({ ...playerRow(player), kind: "other", label: who, about: "" });
  }
  return rows;
}

function playerRow(player) {
  const [value, error] = player.return;
  return { value, low: value - 1.96 * error, high: value + 1.96 * error, returns: player.returns, text: estimate(value, error), interval: "", length: player.length, infos: player.infos.map(([m]) => m), groups: player.groups.map(([m]) => m) };
}

function columnMeans(runs, of) {
  return (of(trainedOf(runs[0])) || []).map((_, i) => mean(finite(runs.map((run) => of(trainedOf(run))[i][0]))));
}
const infoMeans = (runs) => columnMeans(runs, (player) => player.infos);
const groupMeans = (runs) => columnMeans(runs, (player) => player.groups);

/* Where the mean lies, its 95 % interval, and how single episodes are spread. */
function intervalPicture(row, low, high) {
  const x = (value) => Math.max(0, Math.min(200, (200 * (value - low)) / (high - low || 1))), svg = svgElement("svg", { class: "interval", viewBox: "0 0 200 16", preserveAspectRatio: "none", "aria-hidden": "true" });
  const colour = row.colour || "var(--soft)", parts = [`<line class="zero" x1="0" x2="200" y1="8" y2="8"/>`];
  if (row.returns && row.returns.length > 4) {
    const at = (q) => x(quantile(row.returns, q));
    parts.push(`<rect class="all" x="${at(0.05).toFixed(1)}" width="${Math.max(0.5, at(0.95) - at(0.05)).toFixed(1)}" y="6.5" height="3"/><rect class="all" x="${at(0.25).toFixed(1)}" width="${Math.max(0.5, at(0.75) - at(0.25)).toFixed(1)}" y="4" height="8"/>`);
  }
  if (Number.isFinite(row.low)) parts.push(`<line x1="${x(row.low).toFixed(1)}" x2="${x(row.high).toFixed(1)}" y1="8" y2="8" stroke="${colour}" stroke-width="3" vector-effect="non-scaling-stroke"/>`);
  parts.push(`<line x1="${x(row.value).toFixed(1)}" x2="${x(row.value).toFixed(1)}" y1="1" y2="15" stroke="${colour}" stroke-width="2" vector-effect="non-scaling-stroke"/>`);
  svg.innerHTML = parts.join("");
  return svg;
}

/* How far from random to scripted play: 100 % is as good as the script. */
function normalised(row, rows) {
  const random = rows.find((one) => one.label === "random" && one.kind === "other"), scripted = rows.find((one) => one.label === "scripted" && one.kind === "other");
  if (!random || !scripted || random.value === scripted.value) return null;
  return `${((100 * (row.value - random.value)) / (scripted.value - random.value)).toFixed(0)} %`;
}

function evaluationTable(title) {
  const rows = evaluationRows(title), of = report.runs.find((run) => run.played?.title === title).played;
  const ends = rows.flatMap((row) => [row.low, row.high, row.value, ...(row.returns?.length > 4 && row.kind !== "other" ? [quantile(row.returns, 0.05), quantile(row.returns, 0.95)] : [])]).filter(Number.isFinite);
  const low = Math.min(...ends), high = Math.max(...ends), scaled = rows.some((row) => normalised(row, rows));
  const columns = [...of.groups.map((name) => [`${name}`, (row, i) => row.groups?.[i]]), ...of.infos.map(([name, unit]) => [name.replace(/_/g, " ") + (unit && unit !== "1" ? ` (${unit})` : ""), (row, i) => row.infos?.[i - of.groups.length]])];
  /* With many runs the seeds of an experiment are shown when somebody asks for them. */
  const folded = rows.length > 24, parts = (row) => rows.filter((one) => one.kind === "part" && one.band === row.band).map((one) => cells[rows.indexOf(one)]);
  const name = (row) => [row.colour ? h("i", { class: "swatch", style: `background:${row.colour}` }) : null, row.kind === "band" ? h("b", {}, row.label) : row.label];
  const unfold = (row) => h("button", { type: "button", class: "fold", "aria-expanded": "false", onclick: (event) => {
    const open = event.currentTarget.getAttribute("aria-expanded") === "false";
    event.currentTarget.setAttribute("aria-expanded", String(open));
    for (const part of parts(row)) part.hidden = !open;
  } }, name(row));
  const cells = rows.map((row) => h("tr", { class: row.kind, hidden: folded && row.kind === "part" },
    h("td", {}, folded && row.several ? unfold(row) : name(row)),
    h("td", { class: "n" }, row.kind === "band" ? h("b", {}, row.text) : row.text), h("td", { class: "n" }, row.interval), h("td", { class: "wide" }, intervalPicture(row, low, high)),
    scaled ? h("td", { class: "n" }, normalised(row, rows)) : null, h("td", { class: "n" }, trim(number(row.length))), columns.map(([, get], i) => h("td", { class: "n" }, number(get(row, i), 3))), h("td", { class: "unit", title: row.checkpoint }, row.about)));
  const heads = [h("th", {}, ""), h("th", { class: "n" }, `return${of.summed ? ", sum" : ""}`), h("th", { class: "n" }, rows.some((row) => row.interval) ? "95 %" : ""), h("th", {}, `${number(low, 3)} … ${number(high, 3)}`),
    scaled ? h("th", { class: "n", title: "0 % is random play, 100 % the script" }, "of scripted") : null, h("th", { class: "n" }, "steps"), ...columns.map(([name]) => h("th", { class: "n" }, name)), h("th", {}, "")];
  return [h("div", { class: "scroll" }, h("table", { class: "data" }, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, cells))),
    h("p", { class: "note" }, `${plural(of.episodes, "episode")} a run, ${of.deterministic ? "most probable actions" : "sampled actions"}, ${of.rules} rules. ± is the standard error of the mean over episodes; bars: 95 % interval of the mean, half and nine tenths of the episodes.`)];
}

const evaluation = h("div");

function fillEvaluation() {
  const titles = [...new Set(report.runs.map((run) => run.played?.title).filter(Boolean))];
  const failed = report.runs.filter((run) => run.played?.failed).map((run) => h("tr", {}, h("td", {}, run.name), h("td", { class: "why" }, `can't be evaluated: ${run.played.failed}`)));
  const sweeps = environments.map(sweepCharts).filter(Boolean);
  evaluation.replaceChildren(...titles.flatMap((title) => [titles.length > 1 ? h("h3", {}, title) : "", ...evaluationTable(title)]), failed.length ? h("div", { class: "scroll" }, h("table", { class: "data" }, failed)) : "", ...sweeps);
}

function evaluationSection() {
  fillEvaluation();
  if (!evaluation.childElementCount) return null;
  return section("evaluation", "Evaluation", report.runs.some((run) => run.played) ? "the newest checkpoint plays whole episodes" : null, evaluation);
}

/* ---- runs ---- */

function commandBlock(text) {
  const button = h("button", { type: "button", onclick: async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(button.previousSibling);
      button.textContent = "selected";
    }
    setTimeout(() => (button.textContent = "copy"), 1500);
  } }, "copy");
  return h("div", { class: "command" }, h("pre", {}, text), button);
}

function repeatText(run) {
  return run.command || `mappo --config ${run.path}/config.ini run=NEW`;
}

function runDetails(run) {
  const machine = run.machine.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
  const about = [run.why, run.saved ? `last checkpoint saved ${moment(run.saved)}` : "no checkpoint", plural(run.curves.rows, "update"), run.path].filter(Boolean).join("; ");
  return [h("p", { class: "note" }, about), h("h3", {}, "The command that repeats it"), commandBlock(repeatText(run)),
    machine.length ? [h("h3", {}, "Machine and what was in force"), h("dl", { class: "machine" }, machine)] : [],
    run.log.length ? [h("h3", {}, "Log ", h("small", {}, run.log.length >= 60 ? "its last lines" : "")), h("pre", {}, run.log.join("\n"))] : []].flat();
}

function runRow(run) {
  const said = (key) => run.machine.find(([name]) => name === key)?.[1] || "–", trained = trainedOf(run);
  const part = run.env_steps < run.asked && run.state !== "finished" ? ` (${((100 * run.env_steps) / run.asked).toFixed(0)} %)` : "";
  const more = h("tr", { class: "more", hidden: true }, h("td", { colspan: 10 }));
  const fold = h("button", { type: "button", class: "fold", "aria-expanded": "false", onclick: () => {
    if (!more.firstChild.firstChild) more.firstChild.append(...runDetails(run));
    more.hidden = !more.hidden;
    fold.setAttribute("aria-expanded", String(!more.hidden));
  } }, h("i", { class: "swatch", style: `background:${colourOf(bands[run.band].colour)}` }), run.name);
  return [h("tr", {}, h("td", {}, fold), h("td", {}, statePill(run)), h("td", { class: "n" }, run.seed), h("td", { class: "n" }, count(run.env_steps) + part), h("td", { class: "n" }, number(run.return)),
    h("td", { class: "n" }, trained ? estimate(...trained.return) : "–"), h("td", { class: "n" }, duration(run.seconds)), h("td", { class: "n" }, count(speedOf(run))), h("td", {}, said("host")), h("td", {}, said("computes on"))), more];
}

function runsSection() {
  if (report.runs.length === 1) return section("runs", "Run", null, ...runDetails(report.runs[0]));
  const heads = ["run", "state", "seed", "steps", "return", "evaluation", "time", "steps/s", "host", "computes on"].map((name, i) => h("th", { class: i >= 2 && i <= 7 ? "n" : "" }, name));
  return section("runs", "Runs", "a name opens its command, machine and log", h("div", { class: "scroll" }, h("table", { class: "data" }, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, report.runs.flatMap(runRow)))));
}

/* ---- settings ---- */

/* "1 2 3" of a band's runs. */
function valuesIn(band, entry) {
  const values = [...new Set(band.runs.map((run) => entry.values[run.index]))];
  return values.map((value) => value || "none").join(" ");
}

/* Of the experiments of one environment. */
function differencesTable(some) {
  const runs = some.flatMap((band) => band.runs);
  const entries = report.settings.filter((entry) => entry.values && new Set(runs.map((run) => entry.values[run.index])).size > 1);
  if (!entries.length || some.length < 2) return null;
  entries.sort((a, b) => Number(b.apart) - Number(a.apart));
  const swatch = (band) => h("i", { class: "swatch", style: `background:${colourOf(band.colour)}` });
  if (some.length > 8) { /* experiments downwards: a page is higher than wide */
    const shown = entries.filter((entry) => entry.apart);
    return h("div", { class: "scroll" }, h("table", { class: "data" }, h("thead", {}, h("tr", {}, h("th", {}, "experiment"), shown.map((entry) => h("th", { class: "mono", title: entry.help }, entry.key)))),
      h("tbody", {}, some.map((band) => h("tr", {}, h("td", {}, swatch(band), band.label), shown.map((entry) => h("td", { class: "mono" }, valuesIn(band, entry))))))));
  }
  return h("div", { class: "scroll" }, h("table", { class: "data" }, h("thead", {}, h("tr", {}, h("th", {}, "what differs"), some.map((band) => h("th", {}, swatch(band), band.label)))),
    h("tbody", {}, entries.map((entry) => h("tr", { class: entry.apart ? "" : "other" }, h("td", { class: "mono", title: entry.help }, entry.key), some.map((band) => h("td", { class: "mono" }, valuesIn(band, entry))))))));
}

function allSettings() {
  const shared = report.settings.filter((entry) => entry.value !== undefined), body = h("tbody");
  const search = h("input", { type: "search", placeholder: "filter settings", "aria-label": "filter settings", oninput: fill });
  function fill() {
    const wanted = search.value.trim().toLowerCase();
    const rows = shared.filter((entry) => !wanted || `${entry.key} ${entry.value} ${entry.help || ""}`.toLowerCase().includes(wanted));
    body.replaceChildren(...rows.map((entry) => {
      const usual = entry.usual === undefined || entry.usual === entry.value || Number(entry.usual) === Number(entry.value || NaN);
      return h("tr", { class: usual ? "usual" : "" }, h("td", { class: "mono" }, usual ? entry.key : h("b", {}, entry.key)), h("td", { class: "mono" }, entry.value || "–"), h("td", { class: "mono" }, usual ? "" : entry.usual || "none"), h("td", {}, entry.help || ""));
    }));
  }
  fill();
  return h("details", {}, h("summary", {}, report.runs.length > 1 ? `${shared.length} settings that all runs share` : `All ${shared.length} settings`, h("span", { class: "unit" }, "; bold where they are not the program's defaults")), search,
    h("div", { class: "scroll" }, h("table", { class: "data settings" }, h("thead", {}, h("tr", {}, ["setting", "value", "default", ""].map((name) => h("th", {}, name)))), body)));
}

function settingsSection() {
  const tables = environments.map(({ name, bands: some }) => [name, differencesTable(some)]).filter(([, table]) => table);
  return section("settings", "Settings", null, tables.flatMap(([name, table]) => [environments.length > 1 ? h("h3", {}, name) : null, table]), allSettings());
}
