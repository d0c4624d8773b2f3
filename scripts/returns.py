#!/usr/bin/env python3
"""envs/returns.def: what random, scripted and trained players reach, shown by `mappo envs` and docs/environment-list.md.

    scripts/returns.py                     takes what was trained from docs/data/learning; what has no line yet is played at random and by script, 10,000 episodes each
    scripts/returns.py --play [ENV ...]    these environments or all are played again
    scripts/returns.py --check             exit 1 where the file is not what the data say (part of `make lint`)
    scripts/returns.py --compare ENV ...   exit 1 where other episodes differ by more than 4 standard errors (a test)

Settings are the defaults, and those that a row of scripts/learning.ini trains under.
"""
import argparse
import json
import math
import os
import re
import subprocess
import sys
import tempfile

import learning

FILE = "envs/returns.def"
EPISODES = 10000
HEAD = """/* Mean returns of whole episodes, of an agent of a group, by who plays: src/env/registry.h. Written by scripts/returns.py, which says how they
 * were measured; those of trained players come from docs/data/learning.
 *   RETURN(env, setting, group, random, error, scripted, error, trained, env_steps, row) */
"""
TAIL = "#undef RETURN\n"


def ask(program, *arguments):
    """What it prints as JSON."""
    return json.loads(subprocess.run([program, *arguments], stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout)


# ---- what is measured ------------------------------------------------------------------------------------------------------------------


def settings_of(program, rows):
    """[{env, setting, given, scripted, groups, row}]: every environment as it is by default, and as rows train it; environments in the order of `mappo envs`."""
    found = []
    for env in (one["id"] for one in ask(program, "envs", "--json")):
        about = ask(program, "envs", env, "--json")
        found.append({"env": env, "setting": "", "given": [f"env={env}"], "about": about, "row": None})
    for row in rows.values():
        options = [setting for setting in row["settings"] if setting.startswith("env.")]
        about = ask(program, "envs", row["env"], *options, "--json")
        same = [one for one in found if one["env"] == about["id"] and one["about"]["options_in_force"] == about["options_in_force"]]
        if not same:
            name = [about["variant"]] if about["variant"] else []
            same = [{"env": about["id"], "setting": " ".join(name + [option[len("env.") :] for option in options]), "given": [f"env={row['env']}", *options], "about": about, "row": None}]
            last = max(at for at, one in enumerate(found) if one["env"] == about["id"])
            found[last + 1 : last + 1] = same
        if not same[0]["row"]:
            same[0]["row"] = row
    return found


def play(program, given, player, seed=None):
    """{group: (mean, standard error)}, of one group under the name "": played with the smallest run there can be, whose networks nobody asks."""
    small = ["train.env_steps=1", "rollout.envs=1", "rollout.steps=8", "ppo.epochs=1", "ppo.minibatches=1", "policy.hidden=4", "eval.env_steps=0", "threads=1", "--quiet"]
    with tempfile.TemporaryDirectory(suffix=".mappo-returns") as folder:
        run = os.path.join(folder, "run")
        subprocess.run([program, f"run={run}", *given, *small], stdout=subprocess.DEVNULL, check=True)
        played = ask(program, "eval", run, f"play={player}", f"episodes={EPISODES if seed is None else 1000}", *([] if seed is None else [f"eval.seed={seed}"]), "threads=1", "--json")
    groups = list(played["return_per_agent"])
    names = {group: f"return_mean/{group}" for group in groups} if len(groups) > 1 else {"": "return_mean"}
    return {group: (played[name], played[f"{name}_stderr" if group else "return_stderr"]) for group, name in names.items()}


# ---- the file --------------------------------------------------------------------------------------------------------------------------


def literal(value):
    return "NAN" if value is None or math.isnan(value) else f"{value:.6g}"


def read_file():
    """{(env, setting, group): [random, error, scripted, error]} as they stand there."""
    if not os.path.exists(FILE):
        return {}
    with open(FILE, encoding="utf-8") as file:
        lines = re.findall(r'^RETURN\("(.*?)", "(.*?)", "(.*?)", (.*?), (.*?), (.*?), (.*?),', file.read(), re.MULTILINE)
    return {line[:3]: [float(value) for value in line[3:]] for line in lines}


def groups_of(one):
    names = [group["name"] for group in one["about"]["groups"]]
    return names if len(names) > 1 else [""]


def trained(row, group):
    """Mean over seeds of the row's last length, its steps, its name."""
    path = os.path.join(learning.DATA, f"{row['name']}.json") if row else ""
    if not os.path.exists(path):
        return ["NAN", "0", "NULL"]
    length = learning.read_json(path)["lengths"][-1]
    returns = length.get("returns", {"": length["deterministic"]})
    each = returns[group or next(iter(returns))]
    return [literal(learning.mean(each)), f"{length['env_steps']}", f'"{row["name"]}"']


def file_text(settings, played):
    lines = []
    for one in settings:
        for group in groups_of(one):
            key = (one["env"], one["setting"], group)
            if key not in played:
                learning.fail(f"{FILE} has no line of {' '.join(key).strip()}: scripts/returns.py writes it")
            names = ", ".join(f'"{text}"' for text in key)
            lines.append(f"RETURN({names}, {', '.join(map(literal, played[key]))}, {', '.join(trained(one['row'], group))})\n")
    return HEAD + "".join(lines) + TAIL


def play_all(program, settings, played):
    for one in settings:
        random = play(program, one["given"], "random")
        scripted = play(program, one["given"], "scripted") if one["about"]["scripted_player"] else {}
        for group, values in random.items():
            played[one["env"], one["setting"], group] = [*values, *scripted.get(group, (math.nan, math.nan))]
        print(f"{one['env']} {one['setting']}: random {random}, scripted {scripted}", flush=True)


def compare(program, settings, played):
    """Where the table lies further than 4 standard errors of the difference from other episodes."""
    for one in settings:
        for at, player in enumerate(("random", "scripted")[: 1 + one["about"]["scripted_player"]]):
            for group, (value, error) in play(program, one["given"], player, seed=777).items():
                table, table_error = played[one["env"], one["setting"], group][2 * at : 2 * at + 2]
                name = re.sub(r"\W+", "_", f"{player}_play_of_{one['env']}_{one['setting']}_{group}").strip("_")
                agrees = abs(value - table) <= 4 * math.hypot(error, table_error) + 1e-5 * abs(table)
                print(f"ok - {name} ({value:.6g})" if agrees else f"not ok - {name}: {FILE} has {table} ± {table_error}, 1,000 other episodes {value:.6g} ± {error:.3g}")
                yield agrees


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("envs", nargs="*", metavar="ENV", help="by id")
    parser.add_argument("--play", action="store_true", help="measure random and scripted play")
    parser.add_argument("--check", action="store_true", help="only compare the file with the data")
    parser.add_argument("--compare", action="store_true", help="only compare with other episodes")
    parser.add_argument("--program", default=os.environ.get("MAPPO", "build/mappo"), help="(build/mappo)")
    options = parser.parse_args()
    program = os.path.abspath(options.program) if os.path.exists(options.program) else os.path.join(learning.ROOT, options.program)
    os.chdir(learning.ROOT)
    settings, played = settings_of(program, learning.read_rows()), read_file()
    chosen = [one for one in settings if not options.envs or one["env"] in options.envs]
    if options.compare:
        sys.exit(not all(list(compare(program, chosen, played))))
    if options.play:
        play_all(program, chosen, played)
    elif not options.check:
        play_all(program, [one for one in settings if any((one["env"], one["setting"], group) not in played for group in groups_of(one))], played)
    text = file_text(settings, played)
    if not options.check:
        learning.write_text(FILE, text)
    elif not os.path.exists(FILE) or open(FILE, encoding="utf-8").read() != text:
        print(f"{FILE} is not what {learning.DATA} says: scripts/returns.py, then make docs")
        sys.exit(1)


if __name__ == "__main__":
    main()
