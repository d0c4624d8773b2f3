#!/usr/bin/env python3
"""Curves of training runs, as SVG, PNG or PDF.

  scripts/plot.py runs/a runs/b                      return over environment steps, runs.svg
  scripts/plot.py runs/*-s[1-5] --x seconds -o s.png runs that differ only in their seed become one mean with a band
  scripts/plot.py runs/a --y policy_loss,entropy     any number of metrics.jsonl (docs/metrics.md), one below the other
  scripts/plot.py docs/data/learning/{acrobot,cartpole}.csv --panels    curves that scripts/learning.py stored: a column "seed", columns of metrics
"""
import argparse
import configparser
import csv
import json
import os
import re
import sys


def fail(text):
    print(f"plot.py: {text}", file=sys.stderr)
    sys.exit(2)


try:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np
    from matplotlib.ticker import FuncFormatter, MaxNLocator
except ImportError as error:
    # Often an own Python stands first on PATH and the package manager's has the packages.
    system = "/usr/bin/python3"
    if os.path.exists(system) and os.path.realpath(sys.executable) != os.path.realpath(system) and not os.environ.get("MAPPO_PLOT_AGAIN"):
        os.execve(system, [system, os.path.abspath(__file__)] + sys.argv[1:], {**os.environ, "MAPPO_PLOT_AGAIN": "1"})
    fail(f"needs matplotlib ({error}); apt: python3-matplotlib, dnf: python3-matplotlib, conda or pip: matplotlib")

# What does not make another configuration: the seed, where and on what it ran, and how often it looked at itself.
NOT_PART = {"preset.name", "train.seed", "train.threads", "train.env_steps", "train.max_seconds", "train.stop_margin"}
NOT_PART_SECTIONS = {"run", "eval", "checkpoint", "metrics", "comm", "backend", "cpu"}

X_AXES = {"env_steps": "environment steps", "agent_steps": "agent steps", "episodes": "episodes", "seconds": "seconds of training", "update": "updates"}
Y_AXES = {
    "return_mean": "return per episode, last {window} episodes",
    "eval_return": "return per episode, evaluation",
    "episode_length": "steps per episode",
    "env_steps_per_second": "environment steps per second",
    "agent_steps_per_second": "agent steps per second",
    "entropy": "policy entropy (nats)",
}
COLOURS = ["#1f5fa8", "#d1603d", "#3a8f5c", "#8a5aa8", "#b5892b", "#4aa3b5", "#a83e6b", "#666666"]
MARK = "mappo scripts/plot.py"  # in every picture
INK, GREY, GRID = "#222222", "#666666", "#e6e6e6"


def read_runs(path):
    """A run, or those of a table of curves, one a seed."""
    if not path.lower().endswith(".csv"):
        return [read_run(path)]
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    except (UnicodeDecodeError, TypeError, ValueError):
        fail(f"{path}: no table of numbers under a line of names")
    if not rows or "seed" not in rows[0]:
        fail(f"{path}: no curves: a column \"seed\" is needed, and a line")
    return [{"path": path, "rows": [row for row in rows if row["seed"] == seed], "config": {}} for seed in sorted({row["seed"] for row in rows})]


def read_run(path):
    """A run's folder, or its metrics.jsonl: rows, effective configuration, rules."""
    folder = os.path.dirname(path) if os.path.isfile(path) else path
    name = path if os.path.isfile(path) else os.path.join(path, "metrics.jsonl")
    if not os.path.exists(name):
        fail(f"{path}: no metrics.jsonl there (a run's folder is meant, such as runs/mpe-simple_spread-mappo-s1)")
    rows = []
    try:
        with open(name, encoding="utf-8") as file:
            lines = file.read().split("\n")
    except OSError as error:
        fail(f"{name}: {error.strerror}")
    except UnicodeDecodeError:
        fail(f"{name}: no metrics.jsonl but something else (a run's folder is meant, such as {folder or '.'})")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except ValueError:
            if number == len(lines):  # being written at this moment
                continue
            fail(f"{name}, line {number}: not JSON")
    if not rows:
        fail(f"{name}: no update yet")
    config = {}
    ini = os.path.join(folder, "config.ini")
    if os.path.exists(ini):
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        parser.optionxform = str
        try:
            parser.read(ini, encoding="utf-8")
        except configparser.Error as error:
            fail(f"{ini}: {error}".replace("\n", " "))
        config = {f"{section}.{key}": value for section in parser.sections() for key, value in parser.items(section)}
        if "env.name" in config:
            config["env.name"] = environment(ini, config["env.name"])
    return {"path": path, "rows": rows, "config": config}


def once(paths):
    """A run that was named twice is no second seed."""
    seen = {}
    for path in paths:
        place = os.path.realpath(path if os.path.isfile(path) else os.path.join(path, "metrics.jsonl"))
        if place in seen:
            print(f"plot.py: {path} is the same run as {seen[place]}: drawn once", file=sys.stderr)
        seen.setdefault(place, path)
    return list(seen.values())


def environment(ini, name):
    """The environment's id: of a plugin, env.name holds the path, and the id stands below it."""
    with open(ini, encoding="utf-8") as file:
        found = re.search(r"^# the plugin of (\S+)$", file.read(), re.MULTILINE)
    return found.group(1) if found else os.path.basename(name)[:-3] if name.endswith(".so") else name


def make_room(path):
    """An older picture of ours is replaced; anything else that stands under the name is set aside with a message."""
    if not os.path.lexists(path):
        return
    if not os.path.isfile(path):
        fail(f"-o {path}: is there, and no file that a picture could replace")
    with open(path, "rb") as file:
        if MARK.encode() in file.read():
            return
    number = next(n for n in range(1, 100000) if not os.path.lexists(f"{path}.{n}"))
    os.rename(path, f"{path}.{number}")
    print(f"plot.py: {path} was not drawn by this script: it is now {path}.{number}", file=sys.stderr)


def identity(run):
    """All that makes the run's configuration, apart from its seed."""
    if not run["config"]:
        return (("path", run["path"]),)
    return tuple(sorted((k, v) for k, v in run["config"].items() if k not in NOT_PART and k.split(".")[0] not in NOT_PART_SECTIONS))


def group_runs(runs):
    groups = {}
    for run in runs:
        groups.setdefault(identity(run), []).append(run)
    return list(groups.values())


def labels_of(groups):
    """What tells the groups apart: the keys that differ; at most three of them."""
    identities = [dict(identity(group[0])) for group in groups]
    differing = [key for key in sorted(set().union(*identities)) if len({i.get(key) for i in identities}) > 1]
    labels = []
    for group, ident in zip(groups, identities):
        if len(groups) == 1 or not group[0]["config"]:
            label = os.path.splitext(os.path.basename(os.path.normpath(group[0]["path"])))[0]
            label = label if len(group) == 1 or not group[0]["config"] else ident.get("algo.name", "") + " " + ident.get("env.name", "")
        else:
            label = ", ".join(f"{key.split('.')[-1] if key.endswith('.name') else key} = {ident.get(key, 'unset') or 'none'}" for key in differing[:3])
            label += ", …" if len(differing) > 3 else ""
        seeds = len(group)
        labels.append(f"{label}  ({seeds} seeds)" if seeds > 1 else label)
    return labels


def series(run, x, y):
    known = run["rows"][-1]
    for key in (x, y):
        if key not in known and not any(key in row for row in run["rows"]):
            fail(f"{run['path']}: its metrics have no \"{key}\"; there are: {', '.join(sorted(known))}")
    pairs = [(row[x], row[y]) for row in run["rows"] if isinstance(row.get(x), (int, float)) and isinstance(row.get(y), (int, float))]
    return np.array(pairs, dtype=float).reshape(-1, 2)


def smooth(values, window):
    """Centred running mean; shorter at both ends, so that nothing is invented there."""
    if window <= 1 or len(values) < 2:
        return values
    half = window // 2
    sums = np.concatenate([[0.0], np.cumsum(values)])
    low = np.maximum(np.arange(len(values)) - half, 0)
    high = np.minimum(np.arange(len(values)) + half + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)


def is_sparse(group, y):
    """Logged now and then, not with every update."""
    return sum(isinstance(row.get(y), (int, float)) for row in group[0]["rows"]) < len(group[0]["rows"]) / 2


def curve(group, x, y, window, band):
    """x, mean, and the lower and upper edge of the band (standard deviation or range over the runs of a group), where all of them have values."""
    curves = [c for c in (series(run, x, y) for run in group) if len(c)]
    if not curves:
        return None
    if is_sparse(group, y):  # evaluations: already means of many episodes
        window = 1
    curves = [np.column_stack([c[:, 0], smooth(c[:, 1], window)]) for c in curves]
    if len(curves) == 1:
        return curves[0][:, 0], curves[0][:, 1], None, None
    begin, end = max(c[0, 0] for c in curves), min(c[-1, 0] for c in curves)
    grid = np.linspace(begin, end, min(2000, max(len(c) for c in curves)))
    values = np.array([np.interp(grid, c[:, 0], c[:, 1]) for c in curves])
    mean, deviation = values.mean(axis=0), values.std(axis=0, ddof=1)
    return (grid, mean, values.min(axis=0), values.max(axis=0)) if band == "range" else (grid, mean, mean - deviation, mean + deviation)


def number(value, _=None):
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def draw(axes, groups, labels, x, y, args):
    drawn = 0
    for index, (group, label) in enumerate(zip(groups, labels)):
        data = curve(group, x, y, 1 if group[0]["path"].endswith(".csv") else args.window, args.band)
        if data is None:
            print(f"plot.py: warning: {group[0]['path']}: \"{y}\" has no value yet", file=sys.stderr)
            continue
        colour = COLOURS[index % len(COLOURS)]
        grid, mean, low, high = data
        if low is not None:
            axes.fill_between(grid, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(grid, mean, color=colour, linewidth=1.8, label=label, solid_capstyle="round", marker="o" if len(grid) < 3 or (low is None and is_sparse(group, y)) else None, markersize=4)
        drawn += 1
    if not drawn:
        fail(f"no run has a value of \"{y}\" yet")
    for line in args.line or []:
        text, _, value = line.rpartition("=")
        try:
            value = float(value)
        except ValueError:
            fail(f"--line {line}: LABEL=VALUE is meant, such as --line scripted=-112.8")
        axes.axhline(value, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(text, (1, value), xycoords=("axes fraction", "data"), xytext=(-4, 3), textcoords="offset points", ha="right", va="bottom", color=GREY, fontsize=9)
    config = groups[0][0]["config"]
    title = Y_AXES.get(y, y.replace("_", " ")).format(window=config.get("metrics.window", 100))
    rules = {group[0]["config"].get("env.rules") for group in groups} - {None}
    if rules and "return" in y:
        title += "  (" + " and ".join(sorted(rules)) + " rules)"
    axes.set_title(labels[0] if args.panels else title, loc="left", color=INK, fontsize=11, pad=10)
    axes.yaxis.set_major_formatter(FuncFormatter(number))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    axes.tick_params(colors=GREY, length=0, labelsize=9)
    axes.margins(x=0.01, y=0.08)


BANDS = {"deviation": "± 1 standard deviation over seeds", "range": "range over seeds"}


def label_x(axes, x):
    axes.set_xlabel(X_AXES[x], color=GREY, fontsize=10)
    axes.xaxis.set_major_formatter(FuncFormatter(number))
    axes.set_xlim(left=0)


def panels_of_metrics(groups, labels, metrics, args):
    """One below the other, all curves in each."""
    height = 4.2 if len(metrics) == 1 else 2.6 * len(metrics) + 0.8
    figure, panels = plt.subplots(len(metrics), 1, figsize=(7.6, height), sharex=True, squeeze=False, layout="constrained")
    for axes, metric in zip(panels[:, 0], metrics):
        draw(axes, groups, labels, args.x, metric, args)
    label_x(panels[-1, 0], args.x)
    if len(groups) > 1 or len(groups[0]) > 1:
        legend = panels[0, 0].legend(frameon=False, fontsize=9, labelcolor=INK, loc="best")
        if any(len(group) > 1 for group in groups):
            legend.set_title(f"band: {BANDS[args.band]}", prop={"size": 8})
            legend.get_title().set_color(GREY)
    return figure


def panels_of_groups(groups, labels, metric, args):
    """Beside and below one another, one curve in each: what has different scales."""
    columns = min(3, len(groups))
    rows = -(-len(groups) // columns)
    figure, panels = plt.subplots(rows, columns, figsize=(7.6, 2.5 * rows + 0.6), squeeze=False, layout="constrained")
    for axes, group, label in zip(panels.flat, groups, labels):
        draw(axes, [group], [label.partition("  (")[0]], args.x, metric, args)  # without its seeds, for which there is no room
        label_x(axes, args.x)
        axes.xaxis.set_major_locator(MaxNLocator(3))
    for axes in panels.flat[len(groups) :]:
        axes.set_axis_off()
    figure.supylabel(f"{Y_AXES.get(metric, metric).format(window=100)}; band: {BANDS[args.band]}", color=GREY, fontsize=8)
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run's folder, a metrics.jsonl, or a .csv of curves")
    parser.add_argument("--x", default="env_steps", choices=X_AXES, help="horizontal axis")
    parser.add_argument("--y", default="return_mean", help="metric, or several with commas (default return_mean)")
    parser.add_argument("--window", type=int, default=9, help="running mean over so many updates; 1 = as logged (default 9)")
    parser.add_argument("--band", default="deviation", choices=BANDS, help="what is shaded round a mean over seeds (default deviation)")
    parser.add_argument("--panels", action="store_true", help="a panel for each curve, with scales of its own; of one metric")
    parser.add_argument("--line", action="append", metavar="LABEL=VALUE", help="a horizontal line to compare with")
    parser.add_argument("--label", action="append", help="names for the curves, in their order")
    parser.add_argument("--title", help="above the picture; default: environment and algorithm")
    parser.add_argument("-o", "--output", default="runs.svg", help="FILE.svg, FILE.png or FILE.pdf (default runs.svg)")
    args = parser.parse_args()
    if not args.output.lower().endswith((".svg", ".png", ".pdf")):
        fail(f"-o {args.output}: a name that ends in .svg, .png or .pdf is needed")
    folder = os.path.dirname(args.output) or "."
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        fail(f"-o {args.output}: {folder} is no folder that can be written to")
    if args.window < 1:
        fail(f"--window {args.window}: a number of updates of at least 1 is needed")
    runs = [run for path in once(args.runs) for run in read_runs(path)]
    groups = group_runs(runs)
    labels = labels_of(groups)
    for index, label in enumerate(args.label or []):
        if index < len(labels):
            labels[index] = label
    metrics = [name.strip() for name in args.y.split(",") if name.strip()]
    if args.panels and len(metrics) > 1:
        fail("--panels shows one metric (--y)")

    plt.rcParams.update({"font.family": "sans-serif", "svg.fonttype": "none", "axes.unicode_minus": True})
    if args.panels:
        figure = panels_of_groups(groups, labels, metrics[0], args)
    else:
        figure = panels_of_metrics(groups, labels, metrics, args)
    names = sorted({run["config"].get("env.name", "") for run in runs} - {""})
    algorithms = sorted({run["config"].get("algo.name", "") for run in runs} - {""})
    title = args.title if args.title is not None else f"{' and '.join(names)}, {' and '.join(algorithms)}" if names else ""
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, color=INK, fontweight="bold")
    try:
        make_room(args.output)
        key = "Software" if args.output.lower().endswith(".png") else "Creator"
        figure.savefig(args.output, dpi=160, facecolor="white", metadata={key: MARK})
    except OSError as error:
        fail(f"{args.output}: {error.strerror}")
    print(args.output)


if __name__ == "__main__":
    main()
