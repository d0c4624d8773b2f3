#!/usr/bin/env python3
"""mappo render: every kind of file is what its name says, episodes are chosen as asked, the terminal is left as it was."""

import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zlib
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../faults"))
from runs import MAPPO, check, keep, mappo  # noqa: E402

SMALL = ["rollout.envs=4", "rollout.steps=25", "policy.hidden=16", "ppo.epochs=1", "threads=1", "train.env_steps=400", "eval.env_steps=0"]
SVG = "{http://www.w3.org/2000/svg}"


def render(*args, **environment):
    done = subprocess.run([MAPPO, "render", *args, "threads=1"], capture_output=True, text=True, env={**os.environ, **environment})
    return done.returncode, done.stdout + done.stderr


def told(out):
    """What one line tells: number and return of the episode."""
    found = re.search(r"episode (\d+), \w+: return (-?[\d.]+) in", out)
    return (int(found[1]), float(found[2])) if found else (None, None)


def skip(name, reason):
    print(f"ok - {name} # SKIP {reason}")


def while_training():
    code, out = mappo("run=filmed", *SMALL, "render.interval=2")
    films = sorted(os.listdir("filmed/films")) if code == 0 else out
    check("a_run_films_every_so_many_updates", films == ["step-000000000200.svg", "step-000000000400.svg"], films)
    code, out = mappo("run=plain", *SMALL)
    check("films_cost_nothing_where_none_are_made", code == 0 and not os.path.exists("plain/films"), out)
    code, out = mappo("inspect", "filmed", "plain")
    check("films_change_nothing_of_what_is_learned", code == 0, out)
    if not films or isinstance(films, str):
        return
    text = Path("filmed/films", films[-1]).read_text()
    check("a_film_says_when_it_was_made", ">episode 0, after 400 steps: return " in text, text[:600])
    code, out = mappo("run=busy", "env=test/busy", *SMALL, "render.interval=2")
    check("what_cannot_be_drawn_is_refused_before_training", code == 2 and "render.interval=2: test/busy can't be drawn" in out, out)
    code, out = mappo("run=busy", "env=test/busy", *SMALL, "render.fps=2")
    check("settings_of_films_without_films_are_named", code == 0 and "render.fps has no effect here: nothing is filmed while training" in out, out)
    code, out = render("busy", "out=busy.svg")
    check("so_it_is_after_it", code == 2 and "test/busy can't be drawn: it has no draw function" in out and not os.path.exists("busy.svg"), out)


def vectors():
    code, out = render("plain", "out=a.svg", "play=scripted")
    check("a_line_tells_what_was_filmed", code == 0 and re.fullmatch(r"a\.svg: episode 0, scripted: return -[\d.]+ in 25 steps\n", out), out)
    text = Path("a.svg").read_text()
    root = ElementTree.fromstring(text)
    steps = [span.text for span in root.iter(f"{SVG}tspan") if span.text.startswith("step ")]
    check("every_step_is_there", steps == [f"step {t}" for t in range(26)], steps)
    check("it_plays_again_and_again_by_itself", "<script" not in text and "href" not in text and
          all(move.get("repeatCount") == "indefinite" for move in root.iter(f"{SVG}animate")), text[:300])
    circles = list(root.iter(f"{SVG}circle"))
    check("six_circles_are_six_shapes_and_three_of_them_move", len(circles) == 6 and
          sum(any(move.get("attributeName") == "cx" for move in circle) for circle in circles) == 3, len(circles))
    keys = [move.get("keyTimes").split(";") for move in root.iter(f"{SVG}animate")]
    check("times_run_from_0_to_at_most_1", all(times == sorted(times, key=float) and float(times[0]) == 0 and float(times[-1]) <= 1 for times in keys) and
          all(len(move.get("values").split(";")) == len(move.get("keyTimes").split(";")) for move in root.iter(f"{SVG}animate")), keys[:3])
    returns = [span.text for span in root.iter(f"{SVG}tspan") if span.text.startswith("return ")]
    check("the_last_return_is_the_episodes", returns[-1] == f"return {told(out)[1]:.2f}", (returns[-1], out))
    code, out = render("plain", "out=a.svg", "play=scripted", "every=10", "fps=2")
    steps = re.findall(r">(step \d+)<", Path("a.svg").read_text())
    check("every_tenth_step_and_the_last", code == 0 and steps == ["step 0", "step 10", "step 20", "step 25"], (steps, out))
    code, out = render("plain", "out=four.svg", "play=random", "episodes=4")
    text = Path("four.svg").read_text()
    check("four_episodes_follow_each_other", code == 0 and len(out.splitlines()) == 4 and len(re.findall(">episode [0-3], random: return", text)) == 4 and
          len(re.findall(">step 25<", text)) == 4, out)


def choices():
    code, out = render("plain", "out=all.svg", "episodes=12")
    returns = [told(line)[1] for line in out.splitlines()]
    check("twelve_returns_differ", code == 0 and len(set(returns)) > 6, out)
    for which, best in ("worst", min), ("best", max):
        code, out = render("plain", "out=one.svg", f"episode={which}", "episodes=12")
        number, value = told(out)
        check(f"the_{which}_of_twelve_is_played_again", code == 0 and value == best(returns) and number == returns.index(best(returns)) and
              out.endswith(f", the {which} of 12\n"), (out, returns))
    code, out = render("plain", "out=one.svg", "episode=7")
    check("an_episode_is_the_same_by_its_number", told(out) == (7, returns[7]), (out, returns))
    code, first = render("plain/step-000000000000.h5", "out=old.svg")
    check("what_is_not_the_newest_says_when_it_was", code == 0 and ", at 0 steps: return" in first and "at 0 steps" in Path("old.svg").read_text() and " steps: return" not in out, (first, out))


def pixels():
    code, out = render("plain", "out=a.png", "render.size=100")
    bytes_ = Path("a.png").read_bytes() if code == 0 else b""
    ok, data, at, size = bytes_[:8] == b"\x89PNG\r\n\x1a\n", b"", 8, (0, 0)
    while ok and at < len(bytes_):
        length, name = struct.unpack(">I4s", bytes_[at:at + 8])
        body = bytes_[at + 8:at + 8 + length]
        ok = ok and zlib.crc32(name + body) == struct.unpack(">I", bytes_[at + 8 + length:at + 12 + length])[0]
        size = struct.unpack(">II", body[:8]) if name == b"IHDR" else size
        data += body if name == b"IDAT" else b""
        at += 12 + length
    if "libcairo2" in out:
        skip("pictures_of_pixels", "no cairo here")
        return
    check("a_png_is_whole", ok and at == len(bytes_) and size[0] == 6 * (100 + 12) + 12, (out, size))
    rows = zlib.decompress(data) if data else b""
    check("as_many_bytes_as_it_has_pixels", len(rows) == size[1] * (3 * size[0] + 1) and len(set(rows)) > 20, (len(rows), size))
    if not shutil.which("ffmpeg") or not shutil.which("ffprobe"):
        skip("gif_and_mp4", "no ffmpeg here")
        return
    for kind in "gif", "mp4":
        code, out = render("plain", f"out=a.{kind}", "play=scripted", "fps=5", "render.size=120")
        seen = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=codec_name,nb_read_frames,width,height",
                               "-of", "csv=p=0", f"a.{kind}"], capture_output=True, text=True).stdout
        fields = seen.strip().split(",")
        # 25 frames, and 1.2 s of the last.
        check(f"a_{kind}_has_all_frames", code == 0 and fields[0] in ("gif", "h264", "mpeg4") and fields[1] == "144" and fields[-1] == "31", (out, seen))
    check("a_gif_plays_again_and_again", b"NETSCAPE2.0" in Path("a.gif").read_bytes() and Path("a.gif").read_bytes()[-1:] == b";", "a.gif")
    os.mkdir("slow")
    Path("slow/ffmpeg").write_text("#!/bin/sh\nsleep 1.2\nexec cat >/dev/null\n")
    os.chmod("slow/ffmpeg", 0o755)
    code, said = on_terminal("plain", "out=c.mp4", "play=scripted", PATH=f"{os.getcwd()}/slow:{os.environ['PATH']}")
    check("a_terminal_is_told_how_far_it_is", code == 0 and re.search(r"\rc\.mp4: \d+ of 26 frames", said) and
          said.split("\r\x1b[K")[-1].startswith("c.mp4: episode 0, scripted: return "), said)
    os.mkdir("failing")
    Path("failing/ffmpeg").write_text("#!/bin/sh\necho 'first line' >&2\necho 'no room on the moon' >&2\nexit 1\n")
    os.chmod("failing/ffmpeg", 0o755)
    code, out = render("plain", "out=b.gif", PATH=f"{os.getcwd()}/failing:{os.environ['PATH']}")
    check("what_ffmpeg_says_is_told", code == 2 and out == "mappo: b.gif: ffmpeg failed: no room on the moon\n" and not os.path.exists("b.gif"), out)


def files():
    code, out = render("plain", "out=a.gif", PATH="/nowhere")
    check("a_missing_ffmpeg_is_named_with_its_package", code == 2 and "out: a.gif: the program ffmpeg" in out and "apt: ffmpeg" in out and
          "a.svg needs nothing" in out, out)
    os.mkdir("broken")
    Path("broken/libcairo.so.2").write_text("no library")
    code, out = render("plain", "out=a.png", LD_LIBRARY_PATH="broken")
    check("so_is_cairo", code == 2 and "out: a.png: cairo, which draws it, is not here" in out and "apt: libcairo2" in out and
          out.endswith("; a.svg needs nothing, and plays in any browser\n"), out)
    for name, args, part in (("no_such_kind", ["out=a.mov"], "out: a.mov: a name that ends in .svg, .gif, .mp4, .png or .txt is needed"),
                             ("no_folder", ["out=no/a.svg"], "can't be written"),
                             ("no_episode", ["out=a.svg", "episode=5", "episodes=5"], "there is no episode 5 among episodes=5, which are numbered from 0"),
                             ("no_number", ["out=a.svg", "episode=first"], "episode=first is neither worst nor best nor a number"),
                             ("too_many", ["out=a.svg", "episodes=65"], "shows at most 64 episodes one after another"),
                             ("too_large", ["out=large.png", "episodes=40", "render.size=1000"], "large.png: cairo makes no picture of "),
                             ("no_script", ["out=a.svg", "eval.picture=b.svg"], "mappo render doesn't look at eval.picture")):
        code, out = render("plain", *args)
        check(f"{name}_is_refused", code == 2 and part in out and out.count("\n") == 1, out)
    code, out = render("plain", "out=a.png", "fps=3")
    check("what_changes_nothing_is_said", "render.fps has no effect here: a .png shows still frames" in out, out)
    os.makedirs("runs-of-many/one")
    code, out = render("runs-of-many", "out=a.svg")
    check("a_folder_of_runs_is_told_apart", code == 4 and out == "mappo: runs-of-many: is no run's folder; mappo runs runs-of-many lists those in it\n", out)
    for kind in "svg", "txt":
        Path(f"mine.{kind}").write_text("mine")
        code, out = render("plain", f"out=mine.{kind}")
        check(f"a_{kind}_keeps_what_stood_there", code == 0 and Path(f"mine.{kind}.1").read_text() == "mine" and f"it is now mine.{kind}.1" in out, out)
        code, out = render("plain", f"out=mine.{kind}")
        check(f"an_older_{kind}_is_replaced", code == 0 and not os.path.exists(f"mine.{kind}.2"), out)
    lines = Path("mine.txt").read_text().split("\n\n")
    check("text_has_every_frame_and_agents_by_number", len(lines) == 27 and all(f"step {t} " in lines[t] for t in range(26)) and
          all(digit in "".join(lines[3].splitlines()[2:-1]) for digit in "012"), len(lines))


def on_terminal(*args, columns=60, lines=30, **environment):
    """What the command writes on such a terminal, and its exit code."""
    master, slave = pty.openpty()
    import fcntl
    import termios
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = subprocess.Popen([MAPPO, "render", *args, "threads=1"], stdin=slave, stdout=slave, stderr=slave,
                               env={**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color", "NO_COLOR": "", **environment})
    os.close(slave)
    text = b""
    while True:
        try:
            some = os.read(master, 65536)
        except OSError:  # the other side is closed
            some = b""
        if not some:
            break
        text += some
    os.close(master)
    return process.wait(), text.decode().replace("\r\n", "\n")


def terminals():
    enter, leave = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
    for colour, sign in ("truecolor", "\x1b[38;2;"), ("", "\x1b[38;5;"):
        code, text = on_terminal("plain", "play=scripted", "fps=100", "every=5", COLORTERM=colour)
        check(f"it_plays_in_{colour or '256'}_colours", code == 0 and text.count("\x1b[H") == 6 and sign in text and "▀" in text, text[:200])
        check("and_leaves_the_terminal_as_it_was", text.startswith(enter) and text.count(leave) == 1 and
              re.fullmatch(r"episode 0, scripted: return -[\d.]+ in 25 steps\n", text.split(leave)[1]), text[-100:])
        rows = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", row) for row in text.split("\x1b[H")[2].splitlines()]
        check("a_page_fits", len(rows) <= 30 and max(map(len, rows)) <= 60, (len(rows), max(map(len, rows))))
    for columns, lines in (20, 5), (30, 9), (9, 2):
        code, text = on_terminal("plain", "play=scripted", "fps=100", "every=5", NO_COLOR="1", columns=columns, lines=lines)
        rows = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", row) for row in text.split("\x1b[H")[2].splitlines() if row != "\x1b[J"]
        told = [row.split() for row in rows if row.startswith(("step", "return"))]
        check(f"{columns}_columns_and_{lines}_lines_are_enough", code == 0 and len(rows) <= lines and max(map(len, rows)) <= columns and
              (columns < 20 or ["step", "5"] in [row[:2] for row in told] and any("return" in row for row in told)), rows)
    code, text = on_terminal("plain", "fps=100", "every=5", NO_COLOR="1")
    check("without_colour_it_is_plain_text", code == 0 and "\x1b[38" not in text and "▀" not in text and all(3 * sign in text for sign in "O@x"), text[:200])
    code, out = render("plain", "play=scripted")
    check("elsewhere_frames_are_printed", code == 0 and "\x1b" not in out and out.count("\nstep ") == 26, out[:300])


keep(while_training, vectors, choices, pixels, files, terminals)
