#!/usr/bin/env python3
"""How fast environments step here and in the packages that they come from, measured in turn in one run.

    scripts/compare_speed.py                         all of them, about eight minutes on two quiet cores
    scripts/compare_speed.py smax mpe/simple_tag     suites, or names
    scripts/compare_speed.py --list                  what there is, and what of the packages is not installed
    scripts/compare_speed.py --data FOLDER ...       writes there instead of docs/data/speed
    scripts/compare_speed.py --write                 the table of docs/benchmarks.md anew, from what was written; --check: is it the same?

Needs `make` and, for each suite, its package: python3 -m venv V && V/bin/pip install mpe2 gymnasium lbforaging rware jaxmarl, then
V/bin/python scripts/compare_speed.py. What is missing is named and left out.

Both sides play random actions with the same agents. Ours is `mappo bench only=env`, 512 copies; a package's is what scripts/recorders/_originals.py
makes: XLA's steps as many copies, Python's one. Each pair of measurements is one of the program and, right after it, one of the package;
medians over pairs. "One core" is environment steps a second of processor time of a process that has one core, which other programs hardly
disturb. "Two" is time on the clock of two threads, for packages that use them: be alone on the machine."""
import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)  # also where python3 -I leaves it out
DATA = os.path.join(HERE, "..", "docs", "data", "speed")
PAGE = os.path.join(HERE, "..", "docs", "benchmarks.md")
MARKS = "<!-- speed: written by scripts/compare_speed.py -->\n", "<!-- speed: end -->\n"
MAPPO = os.path.join(os.environ.get("BUILD", os.path.join(HERE, "..", "build")), "mappo")
COPIES = 512
QUIET = 0.95  # share of a core's time that a thread must have had where time on the clock is to mean something
SMALL = {"num_agents": 2, "num_colors": 2, "hand_size": 2, "max_info_tokens": 3, "max_life_tokens": 1}

# suite: times as fast that it should be; pip's name; may use several threads
SUITES = {
    "mpe": (100, "mpe2", False),
    "classic": (100, "gymnasium", False),
    "lbf": (200, "lbforaging", False),
    "rware": (200, "rware", False),
    "smax": (5, "jaxmarl", True),
    "overcooked": (5, "jaxmarl", True),
    "hanabi": (5, "jaxmarl", True),
    "matrix": (None, None, False),
    "riddle": (None, None, False),
}


def row(name, function=None, *given, **options):
    return {"name": name, "function": function, "given": given, "options": options}


def mpe(name, version):
    return row("mpe/" + name, "mpe2", "%s_v%d" % (name, version))


def xla(name, function, *given, **options):
    return row(name, function, *given, **dict(options, copies=COPIES))


GYMNASIUM = ["CartPole-v1", "Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1"]
ROWS = (
    [mpe("simple", 3), mpe("simple_adversary", 3), mpe("simple_crypto", 3), mpe("simple_formation", 1), mpe("simple_line", 1), mpe("collect_treasure", 1)]
    + [mpe("simple_push", 3), mpe("simple_reference", 3), mpe("simple_speaker_listener", 4), mpe("simple_spread", 3)]
    + [mpe("simple_tag", 3), mpe("simple_world_comm", 3)]
    + [row("classic/" + name, "gymnasium", name) for name in GYMNASIUM]
    + [row("lbf/" + name, "lbforaging", "Foraging-%s-v3" % name) for name in ("8x8-2p-3f", "2s-8x8-2p-2f-coop", "10x10-3p-3f", "15x15-4p-3f")]
    + [row("rware/" + name, "rware", "rware-%s-v2" % name) for name in ("tiny-2ag", "small-4ag", "medium-6ag", "large-8ag")]
    + [xla("smax/" + name, "smax", name) for name in ("3m", "8m", "2s3z", "smacv2_5_units")]
    + [xla("overcooked/" + name, "overcooked", name) for name in ("cramped_room", "asymm_advantages", "coord_ring", "forced_coord", "counter_circuit")]
    + [xla("hanabi/2p", "hanabi", num_agents=2), xla("hanabi/5p", "hanabi", num_agents=5), xla("hanabi/small", "hanabi", **SMALL)]
    + [row("matrix/climbing"), row("matrix/penalty"), row("riddle/switch")]
)


# ---- the package's side: a process of its own, which measures whenever it is asked ----------------------------------------------------------


def measure(play, seconds):
    """Environment steps a second: of processor time, and on the clock."""
    steps, clock, cpu = 0, time.perf_counter(), time.process_time()
    while steps == 0 or time.perf_counter() - clock < seconds:
        steps += play()
    return {"core": steps / (time.process_time() - cpu), "clock": steps / (time.perf_counter() - clock)}


def work(given):
    if given["threads"] == 1:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # before a library counts cores
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # where packages may print what they like
    from recorders import _originals as originals

    original = getattr(originals, given["function"])(*given["given"], **given["options"])
    print(json.dumps({"versions": dict(original.versions, python=platform.python_version()), "copies": original.copies}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(original.play, float(line))), file=answers, flush=True)


class Worker:
    """An original in a process of its own, a script's with --work; measure() after answer(), the first of which says what it is."""

    def __init__(self, given, script):
        command = [sys.executable, os.path.abspath(script), "--work", json.dumps(given)]
        self.said = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said, universal_newlines=True)

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.said.seek(0)
            raise RuntimeError((self.said.read().strip().splitlines() or ["it ended"])[-1])
        return json.loads(line)

    def measure(self, seconds):
        self.process.stdin.write("%g\n" % seconds)
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.communicate()


def package(row, threads, **changes):
    return Worker(dict({key: row[key] for key in ("function", "given", "options")}, threads=threads, **changes), __file__)


# ---- our side -------------------------------------------------------------------------------------------------------------------------------


def ours(name, threads):
    command = [MAPPO, "bench", "env=" + name, "only=env", "rollout.envs=%d" % COPIES, "threads=%d" % threads, "--json"]
    said = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
    one, many = json.loads(said[0]), json.loads(said[-1])
    return {"agents": one["agents"], "core": 1e9 / one["cpu_ns_per_env_step"], "clock": one["env_steps_per_second"],
            "threads": many["env_steps_per_second"]}


# ---- pairs ----------------------------------------------------------------------------------------------------------------------------------


def compare(row, threads, pairs, seconds):
    """One row of the data, and the package's versions."""
    suite = row["name"].split("/")[0]
    packages = []
    if row["function"]:
        packages = [package(row, 1)]
        if SUITES[suite][2] and threads > 1:
            packages.append(package(row, threads))
        if row["function"] == "gymnasium":
            packages.append(package(row, 1, function="gymnasium_vector"))
    about = [worker.answer() for worker in packages]
    made = []
    for _ in range(pairs):
        mine, theirs = ours(row["name"], threads), [worker.measure(seconds) for worker in packages]
        pair = {"ours": mine, "package": theirs[0] if theirs else None}
        if len(theirs) > 1:
            pair["vector" if row["function"] == "gymnasium" else "package_threads"] = theirs[1]
        made.append(pair)
    for worker in packages:
        worker.close()
    result = {"name": row["name"], "agents": made[0]["ours"]["agents"], "copies": about[0]["copies"] if about else None,
              "vector_copies": about[1]["copies"] if "vector" in made[0] else None, "threads": threads, "pairs": made}
    return result, about[0]["versions"] if about else {}


def median(numbers):
    numbers = sorted(numbers)
    return (numbers[(len(numbers) - 1) // 2] + numbers[len(numbers) // 2]) / 2


def summary(row):
    """Medians of a row's pairs; None where there is nothing to compare."""
    pairs = row["pairs"]
    out = {"core": median([p["ours"]["core"] for p in pairs]), "threads": median([p["ours"]["threads"] for p in pairs])}
    for name, own, other, kind in (("package", "core", "package", "core"), ("package_threads", "threads", "package_threads", "clock"),
                                   ("vector", "core", "vector", "core")):
        there = [p for p in pairs if p.get(other)]
        out[name] = median([p[other][kind] for p in there]) if there else None
        ratios = sorted(p["ours"][own] / p[other][kind] for p in there)
        out[name + "_times"] = (median(ratios), ratios[0], ratios[-1]) if ratios else None
    out["free"] = min(1, median([p["ours"]["clock"] / p["ours"]["core"] for p in pairs]))
    return out


# ---- data and table -------------------------------------------------------------------------------------------------------------------------


def processor():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return "%s, %d cores" % (names[0] if names else platform.machine(), os.cpu_count())


def write(folder, result, versions):
    """A row into its suite's file, beside what was measured before of others."""
    path = os.path.join(folder, result["name"].split("/")[0] + ".json")
    kept = read(path)["rows"] if os.path.exists(path) else []
    new = {row["name"]: row for row in kept + [result]}
    program = subprocess.run([MAPPO, "version"], stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()[0]
    data = {"program": program, "versions": versions, "processor": processor(), "date": time.strftime("%Y-%m-%d"),
            "rows": [new[row["name"]] for row in ROWS if row["name"] in new]}
    os.makedirs(folder, exist_ok=True)
    with open(path, "w") as file:
        json.dump(data, file, indent=1)
        file.write("\n")


def read(path):
    with open(path) as file:
        return json.load(file)


def number(x):
    return "" if x is None else "%.3g M" % (x / 1e6) if x >= 999500 else "%.3g k" % (x / 1e3) if x < 99950 else "%.0f k" % (x / 1e3)


def times(ratio, aim=0):
    """Median and range of ratios; bold where it is what it should be."""
    if ratio is None:
        return ""
    text = ["%.0f" % x if x >= 20 else "%.1f" % x for x in ratio]
    return "%s (%s to %s)" % ("**%s**" % text[0] if aim and ratio[0] >= aim else text[0], text[1], text[2])


def table(folder):
    lines = ["| environment | agents | one core | its package | times | two threads | its package | times | aim |", "|---|---|---|---|---|---|---|---|---|"]
    notes = []
    for suite, (aim, _, _) in SUITES.items():
        path = os.path.join(folder, suite + ".json")
        if not os.path.exists(path):
            continue
        data = read(path)
        made = ", ".join("%s %s" % item for item in sorted(data["versions"].items()))
        notes.append("%s %s (%s)" % (suite, data["date"], ", ".join([data["program"].split(",")[0].replace("(", "")] + ([made] if made else []))))
        for row in data["rows"]:
            s = summary(row)
            quiet = s["free"] >= QUIET
            cells = [row["name"], row["agents"], number(s["core"]), number(s["package"]), times(s["package_times"], aim)]
            cells += [number(s["threads"]), number(s["package_threads"]), times(s["package_threads_times"], aim)] if quiet else ["busy", "", ""]
            lines.append("| " + " | ".join(str(cell) for cell in cells + [aim or ""]) + " |")
            if s["vector"]:
                cells = ["… beside %d copies in its vector form" % row["vector_copies"], "", "", number(s["vector"]), times(s["vector_times"])]
                lines.append("| " + " | ".join(cells + [""] * 4) + " |")
    lines += ["", "When and with what: " + "; ".join(notes) + "."]
    lines.append("Processor: " + "; ".join(sorted({read(os.path.join(folder, f))["processor"] for f in os.listdir(folder)})) + ".")
    return "\n".join(lines) + "\n"


def write_page(script, marks, new_table, only_check):
    """docs/benchmarks.md with a script's table between its marks."""
    import learning

    with open(PAGE, encoding="utf-8") as file:
        text = file.read()
    new = learning.with_table(text, marks, new_table)
    if new is None:
        sys.exit("%s: docs/benchmarks.md has no lines %s and %s" % (script, marks[0].strip(), marks[1].strip()))
    if new == text:
        return 0
    if only_check:
        sys.exit("docs/benchmarks.md is not what scripts/%s --write makes of its data: make docs" % script)
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(new)
    print("docs/benchmarks.md")
    return 0


def missing(suite):
    """How to install what the suite needs; None: it is there."""
    package = SUITES[suite][1]
    if not package:
        return None
    import importlib.util

    return None if importlib.util.find_spec(package) else "%s -m pip install %s" % (sys.executable, package)


def chosen(names):
    known = [row["name"] for row in ROWS] + list(SUITES)
    for name in names:
        if name not in known:
            sys.exit("compare_speed.py: %s is neither a suite nor a name that is compared (--list has them)" % name)
    return [row for row in ROWS if not names or row["name"] in names or row["name"].split("/")[0] in names]


def print_row(s, name, threads):
    text = "%-32s one core %8s/s" % (name, number(s["core"]))
    if s["package"]:
        text += ", package %8s/s: %s times" % (number(s["package"]), times(s["package_times"]))
    if s["vector"]:
        text += ", its vector form %8s/s: %s times" % (number(s["vector"]), times(s["vector_times"]))
    text += "; %d threads %8s/s" % (threads, number(s["threads"]))
    if s["package_threads"]:
        text += ", package %8s/s: %s times" % (number(s["package_threads"]), times(s["package_threads_times"]))
    print(text, flush=True)
    if s["free"] < QUIET:
        print("    other programs took %.0f %% of the time: what two threads reach means nothing" % (100 * (1 - s["free"])), flush=True)


def run(given):
    rows, left_out = chosen(given.name), {}
    if not os.path.exists(MAPPO):
        sys.exit("compare_speed.py: %s is not there: `make` builds it" % os.path.normpath(MAPPO))
    seen = set()
    for row in rows:
        suite = row["name"].split("/")[0]
        if missing(suite):
            left_out[suite] = "its package is not installed: %s" % missing(suite)
            continue
        try:
            result, of = compare(row, given.threads, given.pairs, given.seconds)
        except RuntimeError as error:
            left_out[row["name"]] = "its package says: %s" % error
            continue
        if suite not in seen:
            print("%s: %s" % (suite, ", ".join("%s %s" % item for item in of.items()) or "no package"), flush=True)
        seen.add(suite)
        write(given.data, result, of)
        print_row(summary(result), row["name"], given.threads)
    for what, why in left_out.items():
        print("%s was left out, %s" % (what, why))
    return 1 if left_out else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", help="a suite, or an environment or variant")
    parser.add_argument("--list", action="store_true", help="what there is")
    parser.add_argument("--write", action="store_true", help="the table of docs/benchmarks.md")
    parser.add_argument("--check", action="store_true", help="is it up to date?")
    parser.add_argument("--data", metavar="FOLDER", default=DATA)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a measurement of a package, at least")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        return work(json.loads(given.work))
    if given.write or given.check:
        return write_page(os.path.basename(__file__), MARKS, table(given.data), given.check)
    if given.list:
        for row in chosen(given.name):
            how = missing(row["name"].split("/")[0])
            print(row["name"] + (" (needs %s)" % how if how else ""))
        return 0
    return run(given)


if __name__ == "__main__":
    sys.exit(main())
