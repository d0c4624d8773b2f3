#!/usr/bin/env python3
"""Do README and docs/ name what there is? Pages of all languages alike; `make lint` calls it (lint.sh docs).

  scripts/check_docs.py [--program build/mappo] [PAGE.md ...]

Looked at is what stands in code: keys (`ppo.clip`), options of environments (`env.N`), commands (`mappo eval`), algorithms, presets and
environments (`algo=`, `preset=`, `env=`), scripts; and where links lead, headings included. One line for each thing that is not there; exit 1
if there is one.
"""
import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
SPANS = re.compile(r"^```.*?\n(.*?)^```|((?:^    .*\n)+)|`([^`\n]+)`", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def ask(program, *arguments):
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=True).stdout


class Program:
    """What the program says that there is."""

    def __init__(self, path):
        page = ask(path, "docs", "configuration")
        names = re.findall(r"^\| (`[^|]*`) \|", page, re.M)
        self.keys = {key for row in names for key in re.findall(r"`([A-Za-z_.]+)`", row)}
        self.sections = {key.split(".")[0] for key in self.keys if "." in key}
        overview = ask(path, "help")
        self.commands = set(re.findall(r"^  ([a-z]+)  +[a-z]", overview.split("\ncommands")[1].split("\noptions")[0], re.M))
        self.algorithms = set(re.search(r"\| `algo\.name`.*?\| `[^`]*` \| ([^|]*(?:\\\|[^|]*)*) \|", page).group(1).replace("\\", "").replace(" ", "").split("|"))
        self.presets = set(re.findall(r"^  +preset=([a-z0-9-]+):", ask(path, "help", "preset"), re.M)) | set(re.findall(r"^  ([a-z][a-z0-9-]*)$", ask(path, "help", "preset"), re.M))
        self.environments, self.options = set(), set()
        for name in [environment["id"] for environment in json.loads(ask(path, "envs", "--json"))] + ["test/kitchen_sink", "test/busy"]:
            environment = json.loads(ask(path, "envs", name, "--json"))
            for named in (environment, *(environment["variants"] or [])):
                self.environments |= {named["id"], *named["aliases"]}
            self.options |= {option["name"] for option in environment["options"]}
        # Of environments of Python, which only an interpreter with their packages can open.
        self.options |= set(re.findall(r'^    \[[A-Z_]+\] = {"(\w+)"', (HOME / "src/env/python/python_env.c").read_text(encoding="utf-8"), re.M))
        # docs/export.md: what a policy of scripts/mappo.py has.
        self.attributes = set(re.findall(r"self\.([a-z_]+)|def ([a-z]+)\(self", (HOME / "scripts/mappo.py").read_text(encoding="utf-8")))
        self.attributes = {f"policy.{name}" for names in self.attributes for name in names if name}

    def lacks(self, code):
        """What a piece of code names that there is not."""
        # Of other programs: their switches, Python, C, ini sections and paths.
        for word in re.findall(r"(?<![\w./$<-])[a-z][a-z_]*(?:\.[A-Za-z_]+)+(?![\w(/-]|\.\w)", code):
            section, rest = word.split(".", 1)
            if section not in self.sections or rest in ("h5", "pt", "pth", "gif", "mp4", "png", "txt", "onnx", "bin", "log", "jsonl", "def", "c", "h", "cu", "so", "py", "sh", "ini", "html", "svg", "js", "name"):
                continue
            if section == "env" and word not in self.keys:
                if rest not in self.options and not re.fullmatch("[A-Z]{2,}", rest):
                    yield f"no environment has the option {word}"
            elif section == "group":
                if word != "group.NAME.KEY" and "group.NAME." + word.split(".")[-1] not in self.keys:
                    yield f"there is no key {word}"
            elif word not in self.keys | self.attributes and not re.search(r"\.NAME$|\.KEY$", word):
                yield f"there is no key {word}"
        for command in re.findall(r"(?:^|[\s(])(?:\./)?(?:build/)?mappo ([a-z]+)(?=$|[\s)`,;])", code, re.M):
            if command not in self.commands and not code.startswith("mappo checkpoint\n"):  # a file's first line
                yield f"there is no command mappo {command}"
        for name, there in (("algo", self.algorithms), ("preset", self.presets)):
            for value in re.findall(rf"(?:^|[\s.]){name}=([a-z0-9-]+)(?=$|[\s,;)])", code, re.M):
                if value not in there:
                    yield f"there is no {name}={value}"
        for value in re.findall(r"(?:^|\s)env=([A-Za-z][\w/-]*)(?=$|[\s,;)])", code, re.M):
            if value not in self.environments and not re.fullmatch("[A-Z]+", value) and "/S" not in value:
                yield f"there is no environment {value}"
        for path in re.findall(r"(?:^|[\s(])(?:\./)?((?:scripts|slurm)/[\w.-]+\.(?:sh|py|ini|example))", code, re.M):
            if not (HOME / path).exists() and path != "slurm/site.sh":
                yield f"there is no file {path}"


def anchors(page):
    """The names of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"`|\*", "", heading).lower()).strip().replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", text, re.M)}


def broken_links(page, text):
    for target in LINK.findall(re.sub(r"`[^`\n]*`|^```.*?^```", "", text, flags=re.M | re.S)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        there = (page.parent / path) if path else page
        if not there.exists():
            yield f"the link to {target} leads nowhere"
        elif heading and there.suffix == ".md" and heading not in anchors(there):
            yield f"the link to {target} names no heading there"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(HOME / "build/mappo"))
    parser.add_argument("pages", nargs="*", type=Path)
    arguments = parser.parse_args()
    program = Program(arguments.program)
    pages = arguments.pages or [HOME / "README.md", HOME / "CONTRIBUTING.md", *sorted((HOME / "docs").rglob("*.md")), *sorted(HOME.glob("*/README.md")), *sorted(HOME.glob("src/*/README.md"))]
    wrong = 0
    for page in pages:
        text = page.read_text(encoding="utf-8")
        found = [(1 + text.count("\n", 0, match.start()), what) for match in SPANS.finditer(text) for what in program.lacks(next(filter(None, match.groups()), "")) if not match.group().startswith("```python")]
        found += [(1, what) for what in broken_links(page, text)]
        for line, what in found:
            print(f"{page.resolve().relative_to(HOME) if HOME in page.resolve().parents else page}:{line}: {what}")
        wrong += len(found)
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
