/* The sections of the page. */

const page = document.getElementById("page");

/* ---- head ---- */

function uniform(of) {
  const values = new Set(report.runs.map(of));
  return values.size === 1 ? [...values][0] : null;
}

function titleOf() {
  const played = uniform((run) => run.played?.title), environment = uniform((run) => run.environment);
  return (played || environment || plural(report.runs.length, "run")).replace(/, /g, ",\u00a0");
}

function statePill(run) {
  return h("span", { class: `state ${run.state}`, title: run.why || null }, run.state);
}

function tally(of) {
  const counts = {};
  for (const run of report.runs) counts[of(run)] = (counts[of(run)] || 0) + 1;
  return Object.entries(counts).map(([name, n]) => (report.runs.length > 1 ? `${n} ${name}` : name)).join(", ");
}

function speedOf(run) {
  return run.seconds > 0 ? run.env_steps / run.seconds : NaN;
}

/* Of what is its number; of how many of its runs, where not of all. */
function bestFact() {
  const { evaluated, of } = resultsOf(bands);
  const best = bands.map((band) => ({ band, n: of(band).length, ...summary(of(band), view.statistic) })).filter((one) => Number.isFinite(one.value)).sort((a, b) => b.value - a.value)[0];
  if (!best || !uniform((run) => run.environment)) return null;
  const part = best.n < best.band.runs.length ? ` (${best.n} of ${plural(best.band.runs.length, "run")})` : "";
  return [evaluated ? "best evaluation" : "best training return", number(best.value), best.band.label + part];
}

/* A handful of numbers that one looks for first. */
function facts() {
  const list = [], add = (name, value, small) => list.push(h("div", {}, h("dt", {}, name), h("dd", { title: `${value} ${small || ""}` }, value, small ? h("small", {}, " " + small) : null)));
  const one = report.runs.length === 1 ? report.runs[0] : null, all = report.runs;
  if (one) {
    add("training return", number(one.return), "last episodes");
    const trained = trainedOf(one);
    if (trained) add("evaluation", number(trained.return[0]), `± ${number(trained.return[1], 2)}`);
    add("environment steps", count(one.env_steps), one.env_steps < one.asked ? `of ${count(one.asked)}` : "");
    add("episodes", count(one.episodes));
    add("training time", duration(one.seconds));
    add("speed", count(speedOf(one)), "steps/s");
  } else {
    const totals = (of) => all.reduce((sum, run) => sum + (of(run) || 0), 0);
    add("runs", String(all.length), report.bands < all.length ? `in ${plural(report.bands, "experiment")}` : "");
    const best = bestFact();
    if (best) add(...best);
    add("environment steps", count(totals((run) => run.env_steps)), "together");
    add("training time", duration(totals((run) => run.seconds)), "together");
    const speeds = all.map(speedOf).filter(Number.isFinite);
    if (speeds.length) add("speed", count(quantile(speeds.sort((a, b) => a - b), 0.5)), "steps/s, median");
  }
  return h("dl", { class: "facts" }, list);
}

/* What a reader must know before looking at any curve. */
function notices() {
  const list = [], add = (bad, name, ...text) => list.push(h("p", { class: bad ? "notice bad" : "notice" }, h("b", {}, name), " ", ...text));
  for (const run of report.runs) {
    const last = run.log.filter((line) => !line.includes("/latest.h5")).pop() || "";
    if (run.state === "running") add(false, run.name, `is still going (${run.why}): this page shows it as it was at ${moment(report.written)}, after ${count(run.env_steps)} of ${count(run.asked)} steps.`);
    const stopped = `was stopped after ${count(run.env_steps)} of ${count(run.asked)} steps`;
    if (run.silent) add(true, run.name, `${stopped}, and its log doesn't say why: it was killed, or it crashed. The last line there: `, h("code", {}, last), ". The command that began it goes on from its last checkpoint.");
    else if (run.state === "stopped") add(false, run.name, `${stopped}: `, h("code", {}, last), ". The command that began it goes on.");
    if (run.state === "damaged") add(true, run.name, `is damaged: ${run.why}. Its curves are what metrics.jsonl has.`);
    if (run.trouble) add(true, run.name, `has metrics that can't be read, and curves up to there: ${run.trouble}`);
    if (run.played?.failed) add(true, run.name, `can't be played, and has no evaluation and no replays: ${run.played.failed}`);
    if (run.fallback) add(true, run.name, `was played as it was at ${count(run.played.env_steps)} steps: what it saved later can't be read.${run.evaluationOut ? " That is not counted among its experiment's results." : ""}`);
    if (run.sameSeed) add(true, run.name, `is the same experiment with the same seed (${run.seed}) as ${run.sameSeed.name}, and a seed counts once: lines, bands and means are without it.`);
  }
  for (const folder of report.closed) add(true, folder, "may not be looked into: runs in it are left out.");
  if (list.length <= 4) return list;
  return [h("details", { class: "notices" }, h("summary", {}, `${list.length} notes about runs: ${tally((run) => run.state)}`), list)];
}

function themeButton() {
  const dark = window.matchMedia("(prefers-color-scheme: dark)"), root = document.documentElement;
  let chosen = null;
  try { chosen = localStorage.getItem("mappo-theme"); } catch { /* a page without storage follows the system */ }
  const button = h("button", { type: "button", id: "theme", onclick: () => set(root.dataset.theme === "dark" ? "light" : "dark", true) });
  function set(theme, keep) {
    root.dataset.theme = theme;
    button.textContent = theme === "dark" ? "☀ light" : "☾ dark";
    button.setAttribute("aria-label", `switch to ${theme === "dark" ? "light" : "dark"}`);
    if (!keep) return;
    chosen = theme;
    try { localStorage.setItem("mappo-theme", theme); } catch { /* as above */ }
  }
  const system = () => set(chosen || (dark.matches ? "dark" : "light"), false);
  dark.addEventListener("change", system);
  system();
  let printed = null;
  addEventListener("beforeprint", () => {
    printed = root.dataset.theme;
    root.dataset.theme = "light";
    redraw(true);
    for (const one of players) if (one.at === 0) one.seek(one.last); /* on paper the end says more */
  });
  addEventListener("afterprint", () => { root.dataset.theme = printed; });
  return button;
}

function head() {
  const algo = uniform((run) => setting(run, "algo.name")), name = report.runs.length === 1 ? report.runs[0].path : `${plural(report.runs.length, "run")}: ${tally((run) => run.state)}`;
  document.title = `${titleOf()}${algo ? " · " + algo : ""} – mappo report`;
  const state = report.runs.length === 1 ? [" · ", statePill(report.runs[0])] : [];
  return h("header", {}, h("div", { class: "what" }, h("h1", {}, titleOf(), algo ? h("span", { class: "algo" }, ` · ${algo}`) : null), h("p", { class: "sub" }, name, ...state)),
    h("div", { class: "tools" }, themeButton(), h("button", { type: "button", onclick: () => print() }, "Print")));
}

/* ---- controls ---- */

function segments(label, choices, key, then) {
  const buttons = Object.entries(choices).map(([value, text]) => h("button", { type: "button", "data-value": value, onclick: () => choose(value) }, text));
  function choose(value) {
    view[key] = value;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.value === value));
    then?.();
  }
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.value === view[key]));
  return h("div", { class: "segments", role: "group", "aria-label": label }, buttons);
}

function checkbox(text, key, title) {
  const box = h("input", { type: "checkbox", checked: view[key], onchange: () => ((view[key] = box.checked), redraw()) });
  return h("label", { title }, box, text);
}

function swatchLine(band) {
  const svg = svgElement("svg", { viewBox: "0 0 20 8", "aria-hidden": "true" });
  svg.innerHTML = `<line x1="1" x2="19" y1="4" y2="4" stroke-width="2.4" stroke="${colourOf(band.colour)}"${dashOf(band.colour) ? ` stroke-dasharray="${dashOf(band.colour)}"` : ""}/>`;
  return svg;
}

/* So many lines the bar that stays in sight has room for; the legend of more stands below it. */
const LEGEND = 6;

function legend() {
  if (bands.length < 2) return null;
  const press = () => bands.forEach((band) => band.chip.setAttribute("aria-pressed", String(band.shown)));
  for (const band of bands)
    band.chip = h("button", {
      type: "button", class: "chip", title: `${band.label}\nshift-click shows it alone`, onclick: (event) => {
        const alone = bandsShown(band.environment).length === 1 && band.shown;
        if (event.shiftKey) for (const one of bands) one.shown = one.environment !== band.environment ? one.shown : alone || one === band;
        else band.shown = !band.shown;
        press();
        redraw();
      },
    }, swatchLine(band), h("span", {}, band.label, band.seeds.length > 1 ? h("small", { class: "unit" }, ` ${plural(band.seeds.length, "seed")}`) : null));
  press();
  showChips();
  return h("div", { class: "legend", role: "group", "aria-label": "lines" }, bands.map((band) => band.chip));
}

/* Charts but those of the return show one environment at a time. */
function environmentChoice() {
  const choose = h("select", { onchange: () => { view.environment = choose.value || null; showChips(); zoom(null); } }, environments.map(({ name }) => h("option", { value: name }, name)), h("option", { value: "" }, "all environments"));
  return h("label", {}, "Environment", choose);
}

function showChips() {
  bands.forEach((band) => band.chip && (band.chip.hidden = Boolean(view.environment) && (band.environment !== view.environment || environments.find(({ name }) => name === view.environment).bands.length < 2)));
}

function controls() {
  const several = bands.some((band) => band.runs.length > 1), slider = h("input", {
    type: "range", min: 0, max: 0.2, step: 0.005, value: view.smoothing, "aria-label": "smoothing", oninput: () => ((view.smoothing = Number(slider.value)), redraw()),
  });
  const axes = Object.fromEntries(Object.entries(AXES).map(([key, axis]) => [key, axis.title]));
  return h("div", { class: "bar" }, segments("horizontal axis", axes, "axis", () => { view.domain = null; document.getElementById("unzoom").hidden = true; redraw(); }),
    h("label", { title: "mean over neighbours within this part of the axis; nothing lags" }, "Smoothing", slider),
    several ? segments("statistic over seeds", { iqm: "IQM", mean: "Mean" }, "statistic", () => { redraw(); fillEvaluation(); }) : null,
    several ? checkbox("Seeds", "seeds", "a thin line for each seed") : null,
    report.runs.some((run) => run.curves.evaluations.length) ? checkbox("Evaluations", "evaluations", "evaluations made while training, with their standard errors") : null,
    environments.length > 1 ? environmentChoice() : null, bands.length <= LEGEND ? legend() : null, h("button", { type: "button", id: "unzoom", hidden: true, onclick: () => zoom(null) }, "Whole range"));
}

/* ---- curves ---- */

function evaluationMarks(environment, domain) {
  const place = Object.keys(AXES).indexOf(view.axis), runs = bandsShown(environment).flatMap((band) => band.seeds);
  if (runs.length > 12) return [];
  return runs.flatMap((run) => run.curves.evaluations.filter((e) => e[place] >= domain[0] && e[place] <= domain[1]).map((e) => ({ x: e[place], y: e[3], error: e[4], colour: colourOf(run.of.colour) })));
}

/* Random and scripted play, where all runs play the same. */
function references(environment) {
  const runs = report.runs.filter((run) => run.environment === environment);
  if (new Set(runs.map((run) => run.played?.title)).size > 1) return [];
  const players = runs.flatMap((run) => run.played?.players || []);
  return ["random", "scripted"].map((who) => players.find((player) => player.who === who)).filter(Boolean).map((player) => ({ label: player.who, y: player.return[0] }));
}

const HERO = "return_mean";
const LEARNING = ["policy_loss", "value_loss", "entropy", "approx_kl", "kl", "clip_fraction", "ratio", "explained_variance", "actor_grad_norm", "critic_grad_norm", "value_mean", "value_deviation", "learning_rate", "critic_learning_rate"];

/* Of several groups the first that learns has its numbers under plain names: whose name stands nowhere else but among the returns. */
function plainGroup(name) {
  const names = metricNames(), others = names.filter((one) => one.startsWith(name + "/")).map((one) => one.slice(name.length + 1));
  const rest = names.filter((one) => one.startsWith(HERO + "/")).map((one) => one.slice(HERO.length + 1)).filter((group) => !others.includes(group));
  return others.length && rest.length === 1 && environments.length === 1 ? rest[0] : undefined;
}

function titled(name) {
  const [base, group = plainGroup(base)] = name.startsWith("info/") ? [name.slice(5)] : name.split("/");
  const text = base.replace(/_/g, " ").replace(/\bkl\b/, "KL").replace(/\bgrad\b/, "gradient");
  return group ? `${text} · ${group}` : text;
}

function chart(name, more = {}) {
  const { unit, help } = meaningOf(name), made = new Chart({ name, title: titled(name), unit, help, ...more });
  watcher.observe(made.element);
  resizer.observe(made.element);
  return made.element;
}

function section(id, title, note, ...children) {
  return h("section", { id }, h("h2", {}, title, note ? h("small", {}, note) : null), ...children);
}

function returnCharts() {
  const several = environments.length > 1, charts = environments.map(({ name }) => chart(HERO, {
    large: !several, medium: several, environment: name, title: several ? name : "mean return", marks: (domain) => evaluationMarks(name, domain), references: () => references(name),
  }));
  return several ? h("div", { class: "charts medium" }, charts) : charts[0];
}

function returnSection() {
  if (!metricNames().length) return section("return", "Return", null, h("p", { class: "note" }, "No update has been made yet."));
  const summed = uniform((run) => setting(run, "metrics.return")) === "sum";
  return section("return", "Return", `of training's last episodes${summed ? ", summed over agents" : ""}${report.runs.some((run) => run.curves.evaluations.length) ? "; circles are evaluations" : ""}`, returnCharts(),
    h("p", { class: "note screen" }, "Drag over a chart to look closer, double-click to go back. With the keyboard: Tab to a chart, arrows read values, + and − zoom. All charts follow."));
}

function curvesSection() {
  const names = metricNames().filter((name) => name !== HERO && name !== "eval_return" && name !== "env_steps_per_second" && !name.startsWith("seconds_") && name !== "hidden_fraction");
  const rank = (name) => { const place = LEARNING.indexOf(name.split("/")[0]); return place < 0 ? LEARNING.length : place; };
  const changing = names.filter((name) => !isConstant(name)), constant = names.filter(isConstant);
  const groups = [["episodes", "Episodes", (name) => name.startsWith("info/") || name.startsWith("return_") || name === "episode_length"], ["learning", "Learning", () => true]];
  const taken = new Set(), parts = [];
  for (const [id, title, belongs] of groups) {
    const mine = changing.filter((name) => !taken.has(name) && belongs(name));
    mine.forEach((name) => taken.add(name));
    if (id === "learning") mine.sort((a, b) => rank(a) - rank(b));
    if (mine.length) parts.push([id, section(id, title, null, h("div", { class: "charts" }, mine.map((name) => chart(name))))]);
  }
  const learning = parts.find(([id]) => id === "learning"), others = parts.filter(([id]) => id !== "learning");
  if (constant.length && learning) learning[1].append(h("p", { class: "note" }, `Never changing: ${constant.map((name) => `${titled(name)} ${trim(number(report.runs.map((run) => run.curves.y[name]).find((value) => value !== undefined)))}`).join(", ")}.`));
  return [learning, ...others].filter(Boolean).map(([, element]) => element);
}

/* ---- speed ---- */

function phaseBar(label, runs) {
  const seconds = PHASES.map((phase) => runs.reduce((sum, run) => sum + (run.curves.phases[phase] || 0), 0)), all = seconds.reduce((a, b) => a + b, 0);
  const parts = PHASES.map((phase, p) => {
    const share = all ? (100 * seconds[p]) / all : 0;
    return share < 0.3 ? null : h("span", { style: `width:${share.toFixed(2)}%;background:var(--p${p})`, title: `${phase}: ${share.toFixed(1)} %, ${duration(seconds[p] / runs.length)}` }, share > 9 ? `${phase} ${share.toFixed(0)} %` : "");
  });
  const speed = count(quantile(runs.map(speedOf).filter(Number.isFinite).sort((a, b) => a - b), 0.5));
  return [h("div", { class: "label", title: label }, label), h("div", { class: "stackbar", role: "img", "aria-label": `${label}: ` + PHASES.map((phase, p) => `${phase} ${all ? ((100 * seconds[p]) / all).toFixed(0) : 0} %`).join(", ") }, parts), h("div", {}, `${speed} steps/s`)];
}

function speedSection() {
  if (!metricNames().includes("env_steps_per_second")) return null;
  const rows = bands.length > 1 ? bands.slice(0, 24).flatMap((band) => phaseBar(environments.length > 1 ? `${band.environment}, ${band.label}` : band.label, band.runs)) : report.runs.slice(0, 24).flatMap((run) => phaseBar(report.runs.length > 1 ? run.label : "time", [run]));
  const keys = PHASES.map((phase, p) => h("span", {}, h("i", { class: "swatch", style: `background:var(--p${p})` }), phase));
  return section("speed", "Speed and phases", "where the time of an update goes, on rank 0", h("div", { class: "phases" }, rows), h("div", { class: "keys" }, keys),
    h("div", { class: "charts" }, chart("env_steps_per_second", { title: "environment steps a second", unit: "1/s" }),
      chart("phases", { phases: true, title: "share of each phase", unit: "%", help: "seconds of each phase in an update, of the first experiment that is shown" }),
      metricNames().includes("hidden_fraction") ? chart("hidden_fraction") : null));
}

/* ---- replays ---- */

function replaySection() {
  const filmed = report.runs.filter((run) => run.played?.films?.length);
  if (!filmed.length) {
    const reasons = [...new Set(report.runs.map((run) => run.played?.failed || run.played?.no_films).filter(Boolean))];
    const why = reasons.length ? `There are none: ${reasons.slice(0, 3).join("; ")}.` : report.runs.some((run) => run.played) ? "There are none." : "There are none: this page was made with episodes=0.";
    return section("replays", "Replays", null, h("p", { class: "note" }, why));
  }
  const place = h("div", { class: "replays" }), when = h("span", { class: "unit" }), choose = h("select", { "aria-label": "run", onchange: () => show(filmed[choose.value]) }, filmed.map((run, i) => h("option", { value: i }, bandName(run))));
  const all = h("button", { type: "button", id: "play-all", onclick: () => { const play = !players.some((one) => one.playing); players.forEach((one) => (play && one.seek(0), one.toggle(play))); } }, "Play all");
  function show(run) {
    players.splice(0).forEach((one) => one.toggle(false));
    const replays = run.played.films.map(({ which, film }) => {
      const end = film.frames[film.frames.length - 1];
      return new Replay(film, which, `return ${trim(number(end[2]))} in ${plural(end[0], "step")}${film.whole ? "" : ", cut"}, episode ${film.number}${film.every > 1 ? `; every ${film.every}th state` : ""}`);
    });
    place.replaceChildren(...replays.map((replay) => replay.element));
    when.textContent = `networks at ${count(run.played.env_steps)} of ${count(run.env_steps)} steps`;
    when.hidden = run.played.env_steps >= run.env_steps;
  }
  show(filmed[0]);
  const how = filmed[0].played;
  return section("replays", "Replays", `best, median and worst of ${plural(how.episodes, "episode")}, ${how.deterministic ? "most probable actions" : "sampled actions"}`,
    h("div", { class: "choice" }, filmed.length > 1 ? choose : null, all, when), place);
}

function bandName(run) {
  if (environments.length > 1) return `${run.environment}, ${run.of.label}, ${run.label}`;
  return bands.length === 1 ? (report.runs.length > 1 ? run.label : run.name) : run.of.runs.length > 1 ? `${run.of.label}, ${run.label}` : run.of.label;
}

/* ---- start ---- */

function navigation(sections) {
  const links = sections.filter(Boolean).map((one) => h("a", { href: `#${one.id}` }, one.querySelector("h2").firstChild.textContent));
  return h("nav", { class: "keys", "aria-label": "sections" }, links);
}

function start() {
  const sections = [returnSection(), evaluationSection(), replaySection(), ...curvesSection(), speedSection(), runsSection(), settingsSection()].filter(Boolean);
  page.append(head(), facts(), ...notices(), navigation(sections), controls(), bands.length > LEGEND ? legend() : "", ...sections,
    h("footer", {}, h("p", {}, METHOD), h("p", {}, `Written ${moment(report.written)} by ${report.program}. Curves have at most a thousand points each, a mean over the updates that each stands for.`)));
  document.body.append(tip);
  for (const chart of charts) chart.seen = chart.element.getBoundingClientRect().top < innerHeight + 400;
  redraw();
}
