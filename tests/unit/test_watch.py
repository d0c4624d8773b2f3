#!/usr/bin/env python3
"""mappo watch: the page fits its terminal, live it is drawn anew, and the terminal is left as it was."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unicodedata
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../faults"))
from runs import MAPPO, check, finish  # noqa: E402

ENTER, LEAVE = b"\x1b[?1049h\x1b[?25l", b"\x1b[?25h\x1b[?1049l"


def page(width, height, locale, run="run"):
    environment = {**os.environ, "COLUMNS": str(width), "LINES": str(height), "LC_ALL": locale}
    return subprocess.run([MAPPO, "watch", run], env=environment, capture_output=True, text=True, encoding="utf-8")


def train(run, *settings):
    return [MAPPO, f"run={run}", "env=matrix/penalty", "threads=1", "rollout.envs=4", "rollout.steps=25", "--quiet", *settings]


def read_until(terminal, wanted, seconds=20):
    text, end = b"", time.monotonic() + seconds
    while wanted not in text and time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                text += os.read(terminal, 65536)
            except OSError:  # the other side is closed
                break
    return text


def watch_live(width, height):
    """The command on a terminal of its own: process, the terminal's other end."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    process = subprocess.Popen([MAPPO, "watch", "live"], stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "LC_ALL": "C.UTF-8"})
    os.close(slave)
    return process, master


def pages():
    subprocess.run(train("run", "train.env_steps=4000", "eval.interval=5", "eval.episodes=2"), check=True, capture_output=True)
    for locale in ("C", "C.UTF-8"):
        fits, whole = [], []
        for width in (12, 27, 40, 57, 80, 200):
            for height in (5, 10, 24, 60):
                lines = page(width, height, locale).stdout.splitlines()
                widths = [sum(unicodedata.east_asian_width(c) not in "WF" or 2 for c in line) for line in lines]
                fits.append(max(widths) <= width and len(lines) < height)
                whole.append(("2.00k" not in lines[2] and "100 %" in lines[2]) or width < 12)
        check(f"a_page_fits_its_terminal_in_{locale}", all(fits), fits)
        check(f"how_far_it_is_stands_in_every_one_in_{locale}", all(whole), page(40, 10, locale).stdout)
    text = page(100, 40, "C").stdout
    check("of_few_lines_the_curve_has_them", "return of training" in page(80, 10, "C").stdout, page(80, 10, "C").stdout)
    check("ascii_is_enough", text.isascii() and "entropy" in text and "*" in text and "(o: of evaluations)" in text, text)
    check("numbers_that_never_change_are_left_out", "episode_length" not in text, text)
    check("braille_where_there_is_unicode", any("\u2801" <= c <= "\u28ff" for c in page(100, 40, "C.UTF-8").stdout))
    bad = page(80, 24, "C", ".")
    check("a_folder_of_runs_is_refused", bad.returncode == 2 and "mappo runs" in bad.stderr, bad.stderr)
    os.rename("run/metrics.jsonl", "kept")
    check("without_metrics_there_is_no_curve", "no update yet" in page(80, 24, "C").stdout, page(80, 24, "C").stdout)
    kept = Path("kept").read_text().splitlines(True)
    Path("run/metrics.jsonl").write_text("".join([*kept[:5], '{"update":1,"env_steps":x}\n', *kept[5:]]))
    bad = page(160, 24, "C")
    check("a_bad_line_is_named_and_passed_over", "metrics.jsonl: 1 bad, line 6" in bad.stdout and "return of training" in bad.stdout, bad.stdout + bad.stderr)
    os.rename("kept", "run/metrics.jsonl")


def live():
    run = subprocess.Popen(train("live", "train.env_steps=1e12", "eval.env_steps=0"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (os.path.exists("live/metrics.jsonl") and os.path.getsize("live/metrics.jsonl")):
            time.sleep(0.05)
        process, terminal = watch_live(90, 30)
        text = read_until(terminal, b"\x1b[J")
        check("a_live_page_has_a_screen_of_its_own", text.startswith(ENTER) and b"running" in text, text[:200])
        check("it_is_drawn_anew", b"\x1b[H" in read_until(terminal, b"\x1b[J"))
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 60, 0, 0))
        process.send_signal(signal.SIGWINCH)
        text = read_until(terminal, b"\x1b[J")
        check("a_smaller_window_gets_a_smaller_page", 4 < text.split(b"\x1b[H")[-1].count(b"\n") < 12, text)
        process.send_signal(signal.SIGINT)
        text = read_until(terminal, b"\x00", 3)
        check("the_screen_is_left_and_the_page_stays", LEAVE in text and b"running" in text.split(LEAVE)[1], text[-300:])
        check("ctrl_c_is_no_fault", process.wait(10) == 0, process.returncode)
        os.close(terminal)
        process, terminal = watch_live(90, 30)
        check("the_page_names_its_key", b"running  (q: leave)" in read_until(terminal, b"\x1b[J"))
        os.write(terminal, b"xq")
        text = read_until(terminal, LEAVE) + read_until(terminal, b"\x00", 2)
        check("q_leaves", process.wait(10) == 0 and LEAVE in text and b"(q: leave)" not in text.split(LEAVE)[1], text[-300:])
        check("and_keys_are_as_before", termios.tcgetattr(terminal)[3] & termios.ICANON)
        os.close(terminal)
        process, terminal = watch_live(90, 30)
        read_until(terminal, b"\x1b[J")
        run.send_signal(signal.SIGTERM)
        run.wait(20)
        text = read_until(terminal, LEAVE) + read_until(terminal, b"\x00", 2)
        check("the_end_of_the_run_ends_it", process.wait(10) == 0 and b"stopped" in text.split(LEAVE)[1], text[-300:])
        os.close(terminal)
    finally:
        run.kill()
        run.wait()


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    pages()
    live()
    os.chdir("/")
finish()
