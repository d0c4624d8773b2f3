#!/usr/bin/env python3
"""The learning table of docs/benchmarks.md: trains every seed of a row, evaluates the last checkpoint, summarises over seeds.

    scripts/learning.py [ROW ...]     these rows of scripts/learning.ini, or all, in the order of the table
    scripts/learning.py --pages       only writes the table anew, from the data there is
    scripts/learning.py --check       exit 1 where the table is not what the data say (part of `make lint`)

Seeds run side by side, one thread each, in runs/learning. What was interrupted goes on where it was; what is finished is not run again (--fresh: it is). An evaluation
plays the most probable actions of the last checkpoint for 1,000 episodes. Writes docs/data/learning/ROW.json (every evaluation, mean, interquartile mean and 95 % bootstrap
interval over seeds), ROW.csv (training curves), a picture for each suite (where there is matplotlib) and the table. Needs nothing but Python.
"""
import argparse
import concurrent.futures
import configparser
import csv
import difflib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROWS, DATA, PICTURES, PAGE = "scripts/learning.ini", "docs/data/learning", "docs/pictures", "docs/benchmarks.md"
MARKS = "<!-- learning: written by scripts/learning.py -->\n", "<!-- learning: end -->\n"
POINTS = 100  # of a seed's curve
PLAYED = ("deterministic", "training_return", "seconds", "cpu_seconds")  # of each seed


def fail(text):
    print(f"learning.py: {text}", file=sys.stderr)
    sys.exit(2)


# ---- rows ------------------------------------------------------------------------------------------------------------------------------


def read_rows():
    """{name: row} in the order of the file."""
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    with open(ROWS, encoding="utf-8") as file:
        parser.read_file(file)
    rows = {}
    for name in parser.sections():
        given = dict(parser[name])
        row = {"name": name, "env": given.pop("env", None), "settings": given.pop("settings", "").split()}
        row["lengths"] = [int(float(steps)) for steps in given.pop("env_steps", "").split()]
        first, _, last = given.pop("seeds", "1-5").partition("-")
        row["seeds"] = list(range(int(first), int(last or first) + 1))
        row["measure"] = given.pop("measure", "mean")
        row["aims"] = [float(aim) for aim in given.pop("aim", "").split()]
        row["aim_each"] = float(given.pop("aim_each", "-inf"))
        if given or not row["env"] or not row["lengths"]:
            fail(f"{ROWS}: [{name}] {'has an unknown ' + ', '.join(given) if given else 'needs env and env_steps'}")
        rows[name] = row
    return rows


def chosen(rows, names):
    for name in names:
        if name not in rows:
            near = difflib.get_close_matches(name, rows, 1, 0.4)
            fail(f"no row \"{name}\" in {ROWS}{'; did you mean ' + near[0] + '?' if near else ''} There are: {', '.join(rows)}")
    return [row for row in rows.values() if not names or row["name"] in names]


# ---- running ---------------------------------------------------------------------------------------------------------------------------


class Running:
    """The programs that run at this moment. Once they are stopped, no other begins."""

    def __init__(self):
        self.lock, self.children, self.stopped = threading.Lock(), [], False

    def start(self, command):
        with self.lock:
            if self.stopped:
                raise RuntimeError("stopped")
            self.children.append(subprocess.Popen(command, stdout=subprocess.PIPE, universal_newlines=True))
            return self.children[-1]

    def wait(self, child):
        """What it printed, and the seconds of processor time that it took."""
        printed = child.stdout.read()
        with self.lock:
            self.children.remove(child)
        _, status, usage = os.wait4(child.pid, 0)
        child.stdout.close()
        child.returncode = -(status & 0x7F) or status >> 8
        return printed, usage.ru_utime + usage.ru_stime

    def stop(self):
        """They save what they have."""
        with self.lock:
            self.stopped = True
            for child in self.children:
                child.terminate()


running = Running()


def run(program, arguments, account=None):
    """What it printed; the seconds that it took are added to the file `account`."""
    child = running.start([program, *arguments])
    printed, seconds = running.wait(child)
    if account:
        with open(account, "a", encoding="utf-8") as file:
            file.write(f"{seconds:.2f}\n")
    if child.returncode:
        raise RuntimeError(f"{program} {' '.join(arguments)}: exit code {child.returncode}")
    return printed


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def write_text(path, text):
    with open(path + ".new", "w", encoding="utf-8", newline="") as out:
        out.write(text)
    os.replace(path + ".new", path)


def short(value):
    """Six digits: more than the errors leave to be read."""
    return value if value is None else float(f"{value:.6g}")


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def metrics_of(folder):
    with open(os.path.join(folder, "metrics.jsonl"), encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def measured(row, played):
    if row["measure"] in ("mean", "sum"):
        return played[f"return_over_agents_{row['measure']}"]
    if f"info/{row['measure']}" not in played:
        raise RuntimeError(f"{ROWS}: [{row['name']}] measures {row['measure']}, which {row['env']} does not count (mappo envs {row['env']})")
    return played[f"info/{row['measure']}"]


def train_and_play(options, row, seed):
    """One seed, its lengths one after the other; what it found stands in the run's folder, so that it is not found twice."""
    folder = os.path.join(options.runs, f"{row['name']}-s{seed}")
    account, found = folder + ".cpu", []
    for steps in row["lengths"]:
        path = os.path.join(folder, f"learning-{steps}.json")
        if not os.path.exists(path):
            run(options.program, [f"run={folder}", f"seed={seed}", f"env={row['env']}", *row["settings"], f"train.env_steps={steps}", "threads=1", "eval.env_steps=0", "--quiet"], account)
            before, last = ([{"env_steps": 0}] + metrics_of(folder))[-2:]
            if last["env_steps"] < steps or before["env_steps"] >= steps:
                raise RuntimeError(f"{folder} stands at {last['env_steps']:,} steps, not at {steps:,}: {'the same command goes on' if last['env_steps'] < steps else '--fresh runs it again'}")
            played = json.loads(run(options.program, ["eval", folder, "threads=1", "--json"]))
            one = {"settings": row["settings"], "measure": row["measure"], "deterministic": short(measured(row, played)), "training_return": short(last["return_mean"])}
            with open(account, encoding="utf-8") as file:
                one.update(seconds=round(last["seconds"], 1), cpu_seconds=round(sum(map(float, file)), 1))
            one["returns"] = {group: short(mean(each)) for group, each in played["return_per_agent"].items()}
            write_text(path, json.dumps(one))
        one = read_json(path)
        if (one["settings"], one["measure"]) != (row["settings"], row["measure"]):
            raise RuntimeError(f"{folder} was run for this row as it was before; --fresh runs it again")
        print(f"{row['name']} seed {seed} at {steps:,}: {one['deterministic']:g}, training {one['training_return']}, {one['cpu_seconds']:.0f} s of a core", flush=True)
        found.append(one)
    return found


# ---- data ------------------------------------------------------------------------------------------------------------------------------


def interquartile_mean(values):
    """Mean of the middle half, with fractional weights at its edges (Agarwal et al. 2021)."""
    ordered, n = sorted(values), len(values)
    low, high = n / 4, 3 * n / 4
    weights = [max(0.0, min(i + 1, high) - max(i, low)) for i in range(n)]
    return sum(w * v for w, v in zip(weights, ordered)) / sum(weights)


def bootstrap_interval(values, draws=10000):
    """95 % interval of the mean over seeds."""
    rng = random.Random(0)
    means = sorted(mean(rng.choices(values, k=len(values))) for _ in range(draws))
    return means[int(0.025 * draws)], means[int(0.975 * draws)]


def write_result(row, found):
    """`found`: of each seed a list of its lengths."""
    result = {"name": row["name"], "env": row["env"], "settings": row["settings"], "measure": row["measure"], "seeds": row["seeds"], "lengths": []}
    for steps, *at in zip(row["lengths"], *found):
        length = {"env_steps": steps, **{kind: [one[kind] for one in at] for kind in PLAYED}}
        length["returns"] = {group: [one["returns"][group] for one in at] for group in at[0]["returns"]}
        for kind in ("deterministic", "training_return"):
            values = [value for value in length[kind] if value is not None]
            length[kind + "_mean"] = short(mean(values))
            length[kind + "_iqm"] = short(interquartile_mean(values))
            length[kind + "_interval95"] = [short(end) for end in bootstrap_interval(values)]
        result["lengths"].append(length)
    write_text(os.path.join(DATA, row["name"] + ".json"), json.dumps(result, indent=1) + "\n")


def write_curves(row, runs):
    """The training return, and what is measured where that is a column of its own: at most POINTS points a seed, the last one among them."""
    lines = {seed: metrics_of(os.path.join(runs, f"{row['name']}-s{seed}")) for seed in row["seeds"]}
    last = lines[row["seeds"][0]][-1]
    names = [name for name in last if name.split("/")[0] == "return_mean" or name == f"info/{row['measure']}"]
    with open(os.path.join(DATA, row["name"] + ".csv"), "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["seed", "env_steps", "seconds", *names])
        for seed, updates in lines.items():
            every = -(-len(updates) // POINTS)
            for line in updates[(len(updates) - 1) % every :: every]:
                if line["return_mean"] is not None:
                    writer.writerow([seed, line["env_steps"], round(line["seconds"], 2), *(short(line[name]) for name in names)])


# ---- the table -------------------------------------------------------------------------------------------------------------------------


def number(value, digits=None):
    """As in a text; without digits as short as it is."""
    return (f"{value:g}" if digits is None else f"{value:.{digits}f}").replace("-", "−")


def steps_text(steps):
    return f"{steps / 1e6:g} M" if steps >= 1e6 else f"{steps / 1e3:g} k"


def what(row):
    settings = "".join(f" `{setting}`" for setting in row["settings"])
    measure = {"mean": "", "sum": ", sum over agents"}.get(row["measure"], f", {row['measure'].replace('_', ' ')}")
    return f"`{row['env']}`{settings}{measure}"


def aim_text(row, length, at):
    if at >= len(row["aims"]):
        return ""
    text = f"≥ {number(row['aims'][at])}"
    met = length["deterministic_mean"] >= row["aims"][at] and min(length["deterministic"]) >= row["aim_each"]
    if row["aim_each"] > float("-inf"):
        text += f", each ≥ {number(row['aim_each'])}"
    return text if met else text + ": **missed**"


def table_rows(row):
    """Of each length a line; of a row without data one that says so."""
    path = os.path.join(DATA, row["name"] + ".json")
    if not os.path.exists(path):
        yield f"| `{row['name']}` | {what(row)} | {', '.join(map(steps_text, row['lengths']))} | not run yet | | | | | |"
        return
    result = read_json(path)
    if [setting for setting in result["settings"] if not setting.startswith("threads=")] != row["settings"]:
        fail(f"{path} was measured under other settings than [{row['name']}] of {ROWS} has: make learn ROW={row['name']}")
    for at, length in enumerate(result["lengths"]):
        played = length["deterministic"]
        digits = 3 if max(map(abs, played)) < 2 else 2 if max(map(abs, played)) < 20 else 1
        low, high = length["deterministic_interval95"]
        interval = f"{number(low, digits)} … {number(high, digits)}" if len(played) > 1 else ""
        iqm = number(length["deterministic_iqm"], digits) if len(played) > 1 else ""
        yield (f"| `{row['name']}` | {what(row)} | {steps_text(length['env_steps'])} | {' '.join(number(one, digits) for one in played)} | **{number(length['deterministic_mean'], digits)}** | "
               f"{iqm} | {interval} | {aim_text(row, length, at)} | {statistics.median(length.get('cpu_seconds', length['seconds'])):.0f} s |")


def with_table(text, marks, table):
    """The text with another table between its marks; None where it has not both."""
    before, begin, rest = text.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    return before + begin + table + end + after if begin and end else None


def page(rows):
    """docs/benchmarks.md with the table as the data have it."""
    with open(PAGE, encoding="utf-8") as file:
        text = file.read()
    lines = ["| row | what | env-steps | each seed | mean | IQM | 95 % interval | aim | a seed |", "|---|---|---|---|---|---|---|---|---|"]
    lines += [line for row in rows.values() for line in table_rows(row)]
    new = with_table(text, MARKS, "\n".join(lines) + "\n")
    if new is None:
        fail(f"{PAGE} has no place for the table: it stands between the lines {MARKS[0].strip()} and {MARKS[1].strip()}")
    return new


def draw(rows, suite):
    """The suite's picture: a panel for each row that has data."""
    curves = [os.path.join(DATA, row["name"] + ".csv") for row in rows.values() if row["env"].split("/")[0] == suite]
    curves = [path for path in curves if os.path.exists(path)]
    subprocess.run([sys.executable, "scripts/plot.py", *curves, "--panels", "--band", "range", "--title", suite, "-o", os.path.join(PICTURES, f"learning-{suite}.svg")], check=False)


# ---- the command -----------------------------------------------------------------------------------------------------------------------


def learn(options, rows):
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        wanted = chosen(rows, options.rows)
        for row in wanted if options.fresh else []:
            for seed in row["seeds"]:
                folder = os.path.join(options.runs, f"{row['name']}-s{seed}")
                shutil.rmtree(folder, ignore_errors=True)
                if os.path.exists(folder + ".cpu"):
                    os.remove(folder + ".cpu")
        started = [(row, [pool.submit(train_and_play, options, row, seed) for seed in row["seeds"]]) for row in wanted]
        try:
            for row, seeds in started:
                write_result(row, [seed.result() for seed in seeds])
                write_curves(row, options.runs)
                write_text(PAGE, page(rows))
                draw(rows, row["env"].split("/")[0])
        except (RuntimeError, KeyboardInterrupt) as error:
            running.stop()
            fail(str(error) or "interrupted: the same command goes on from here")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW")
    parser.add_argument("--pages", action="store_true", help="only write the table")
    parser.add_argument("--check", action="store_true", help="only compare it")
    parser.add_argument("--fresh", action="store_true", help="run again what is finished or was begun")
    parser.add_argument("--program", default=os.environ.get("MAPPO", "build/mappo"), help="(build/mappo)")
    parser.add_argument("--runs", default="runs/learning")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="seeds side by side (default: one a core)")
    options = parser.parse_args()
    os.chdir(ROOT)
    rows = read_rows()
    if options.check:
        with open(PAGE, encoding="utf-8") as file:
            if file.read() != page(rows):
                print(f"{PAGE}: its learning table is not what {DATA} says: scripts/learning.py --pages")
                sys.exit(1)
    elif options.pages:
        write_text(PAGE, page(rows))
    else:
        os.makedirs(DATA, exist_ok=True)
        os.makedirs(options.runs, exist_ok=True)
        learn(options, rows)


if __name__ == "__main__":
    main()
