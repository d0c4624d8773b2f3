/* A chart to take away: as a figure (SVG, with its legend) or as numbers (CSV). */

const STYLES = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "stroke-linecap", "opacity", "font-size", "text-anchor", "dominant-baseline", "paint-order"];

/* What a style sheet says of an element, said by the element. */
function keepStyles(from, to) {
  const style = getComputedStyle(from);
  for (const name of STYLES) {
    const value = style.getPropertyValue(name);
    if (value && value !== "none" && value !== "normal") to.setAttribute(name, value);
    else if (name === "fill" || name === "stroke") to.setAttribute(name, "none");
  }
  to.removeAttribute("class");
  for (let i = 0; i < from.children.length; i++) keepStyles(from.children[i], to.children[i]);
}

function chartSvg(chart) {
  if (chart.dirty) chart.draw();
  const head = 26, row = 16, legend = chart.lines.length > 1 ? chart.lines : [], height = chart.height() + head + row * legend.length;
  const copy = chart.svg.cloneNode(true), colours = getComputedStyle(document.documentElement), ink = colours.getPropertyValue("--ink");
  keepStyles(chart.svg, copy);
  for (const hidden of copy.querySelectorAll("[hidden]")) hidden.remove();
  const svg = svgElement("svg", { width: chart.width, height, viewBox: `0 0 ${chart.width} ${height}`, "font-family": "sans-serif", "font-size": 11 });
  const text = (x, y, words, more = {}) => {
    const element = svgElement("text", { x, y, fill: ink, ...more });
    element.textContent = words;
    svg.append(element);
  };
  svg.append(svgElement("rect", { width: chart.width, height, fill: colours.getPropertyValue("--paper") }));
  text(4, 16, `${chart.spec.title || chart.spec.name}${chart.spec.unit ? ` (${chart.spec.unit})` : ""} over ${AXES[view.axis].label}`, { "font-weight": 600, "font-size": 12 });
  legend.forEach((line, i) => {
    const colour = getComputedStyle(document.documentElement).getPropertyValue(line.colour.slice(4, -1)), y = head + row * i;
    svg.append(svgElement("line", { x1: 6, x2: 26, y1: y + 4, y2: y + 4, stroke: colour, "stroke-width": 2.4, "stroke-dasharray": line.dash || "none" }));
    text(32, y + 8, line.label);
  });
  for (const [name, value] of Object.entries({ x: 0, y: head + row * legend.length, width: chart.width, height: chart.height() })) copy.setAttribute(name, value);
  svg.append(copy);
  return new XMLSerializer().serializeToString(svg);
}

/* As drawn: smoothed, and over seeds the statistic that is chosen. */
function chartCsv(chart) {
  if (chart.dirty) chart.draw();
  const cell = (value) => (Number.isFinite(value) ? String(value) : ""), quoted = (words) => `"${words.replace(/"/g, '""')}"`;
  const rows = chart.lines.flatMap((line) => line.x.map((x, i) => [quoted(line.label), cell(x), cell(line.y[i]), cell(line.low?.[i]), cell(line.high?.[i]), cell(line.n?.[i] ?? 1)].join(",")));
  return [`experiment,${view.axis},${chart.spec.name},low,high,seeds`, ...rows].join("\n") + "\n";
}

function save(name, type, text) {
  const link = h("a", { download: name, href: URL.createObjectURL(new Blob([text], { type })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function exportButtons(chart) {
  const name = chart.spec.name.replace(/\W+/g, "-"), button = (words, title, act) => h("button", { type: "button", class: "quiet export", title, onclick: act }, words);
  return [button("svg", "save this chart as a figure", () => save(`${name}.svg`, "image/svg+xml", chartSvg(chart))), button("csv", "save what this chart shows as numbers", () => save(`${name}.csv`, "text/csv", chartCsv(chart)))];
}
