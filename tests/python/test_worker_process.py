#!/usr/bin/env python3
"""A worker of the Python bridge as a process: environments that raise, exit or die, restarts, pictures, the order of what is asked, a second
instance in the same process, and that nothing is left behind."""
import os
import re
import signal
import sys
import time

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fake_rank
from fake_rank import RESET, STEP, Rank, Refused, check, skipping

OWN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "own_envs.py") + ":"
TRUNCATED = 2


def own():
    return sys.modules["own_envs"]


def raising():
    rank = Rank(OWN + "failing", envs=2, process=True, args='{"fail_at": 2, "failures": 1}', first=30)
    rank.may_fail = True
    rank.reset()
    rank.step(1)
    rank.step(1)
    word, (number, text) = rank.error()
    check("an_environment_that_raises_is_told", word == "error" and number == "30" and text == "ZeroDivisionError: the counter fell over (own_envs.py:33)", (word, number, text))
    check("by_a_word_of_the_window", rank.failed.tolist() == [1, 0] and rank.said[0] == 1 and rank.done[0] == rank.want[0], (rank.failed, rank.said))
    check("the_others_step_on", rank.obs[1, 0].tolist() == [2, 1], rank.obs)
    rank.close()
    shown = rank.process.stderr.read()
    check("the_traceback_is_the_environments_own", "environment 30: Traceback (most recent call last):" in shown and 'own_envs.py", line 33, in step' in shown and "mappo_worker" not in shown, shown)
    rank = Rank(OWN + "four_values", envs=1)
    rank.may_fail = True
    rank.reset()
    rank.step(0)
    text = rank.error()[1][1]
    check("what_is_no_step_of_gymnasium_is_told", "step() returned 4 values, as in the old Gym: it must return observation, reward, terminated, truncated, info (step() is at own_envs.py:" in text, text)
    rank.close()


def beginners():
    """Errors that stand in no line of the environment: which call it was, and what it should do; the short way of a step (7) and the watched one (0)."""
    said = {"nothing": "step() returned None: it must return observation, reward", "reward": "step() gave the reward None, which is no number (step() is at own_envs.py:",
            "text": "step() gave the observation 'ab', which is not as its space says", "key": "step() gave an observation without 'b', which its space names"}
    for first in (0, 7):
        for what, words in said.items():
            rank = Rank(OWN + "beginner", envs=1, args='{"what": "%s"}' % what, first=first)
            rank.may_fail = True
            rank.reset()
            rank.step(0)
            text = rank.error()[1][1]
            check("a_beginners_%s_is_told_%d" % (what, first), words in text, text)
            rank.close()
    for what, words in (("seedless", "reset() must take a seed: def reset(self, seed=None, options=None)"),):
        try:
            Rank(OWN + "beginner", envs=1, args='{"what": "%s"}' % what)
            text = "(not refused)"
        except Refused as error:
            text = str(error)
        check("a_beginners_%s_is_told" % what, words in text, text)
    rank = Rank(OWN + "masked_once", envs=1)
    rank.may_fail = True
    rank.reset()
    for _ in range(3):
        rank.step(0)
    check("a_mask_that_is_missing_ends_the_run", rank.failed[0] == 1 and "agent was given no action_mask, although it had one before" in rank.error()[1][1], rank.failed)
    rank.close()


def watched():
    """What the first steps of the first environment tell, once."""
    for what, asked, words in (("far", {}, "the observation after step 1 is outside of its Box: number 1 is 7, the bounds are 0 and 5"), ("late", {}, "info has an action_mask after step(), and had none after reset()"),
                               ("fine", {"infos": "distanse@end,distance"}, 'no step gave info "distanse"; did you mean "distance"? (env.infos); info has distance')):
        rank = Rank(OWN + "beginner", envs=2, args='{"what": "%s"}' % what, **asked)
        rank.reset()
        for _ in range(201):
            rank.step(0)
        word, (number, text) = rank.error() if rank.said[0] else ("nothing", ("", ""))
        check("%s_is_said_once" % what, word == "warned" and number == "0" and words in text and rank.said[0] == 1, (word, text, rank.said))
        rank.close()
    rank = Rank(OWN + "beginner", envs=1, args='{"what": "endless"}')
    check("actions_without_bounds_are_said", any("actions of a Box without bounds" in text for text in rank.spec.cannot), rank.spec.cannot)
    check("rules_are_the_files", rank.spec.one["rules"] == ["own_envs.py"], rank.spec.one)
    rank.close()


def restarting():
    own().Counter.failed = 0
    rank = Rank(OWN + "failing", envs=1, args='{"fail_at": 2, "failures": 2}', on_error="restart", infos="x")
    rank.reset()
    seeds = []
    for last in ([1, 2], [1, 1]):  # the first one had been reset before, to describe it
        rank.step(2)
        rank.step(2)
        word, (number, text) = rank.error()
        seeds.append(own().made[-1].seeds[0])
        check("it_is_made_anew", word == "restarted" and number == "0" and "ZeroDivisionError" in text and rank.failed[0] == 0, (word, text))
        check("its_episode_is_cut_off", rank.ep_end[0] == TRUNCATED and rank.reward[0] == 0 and rank.final_obs[0, 0].tolist() == last and np.isnan(rank.info[0, 0]), (rank.ep_end, rank.final_obs))
        check("and_a_new_one_begins", rank.obs[0, 0].tolist() == [0, 1], rank.obs)
    check("with_another_seed", len({own().made[-3].seeds[0], *seeds}) == 3, seeds)
    for _ in range(3):
        rank.step(2)
    check("then_it_goes_on", rank.ep_end[0] == 1 and rank.reward[0] == 2 and rank.said[0] == 2, (rank.ep_end, rank.reward))
    rank.close()
    for infos in ("", "x"):  # the short way of a step, and the long one
        rank = Rank(OWN + "sometimes", envs=1, on_error="restart", infos=infos, first=1)
        rank.reset()
        for _ in range(24):
            rank.step(0)
        words = [rank.error()[0] for _ in range(int(rank.said[0]))]
        check("a_whole_episode_between_forgives_%s" % (infos or "none"), words == ["restarted"] * 6, words)
        rank.close()
    own().Counter.failed = 0
    rank = Rank(OWN + "failing", envs=1, on_error="restart", args='{"fail_at": 1}')
    rank.may_fail = True
    rank.reset()
    for _ in range(4):
        rank.step(0)
    words = [rank.error() for _ in range(4)]
    check("not_for_ever", [word for word, _ in words] == ["restarted"] * 3 + ["error"] and "4 times in a row" in words[-1][1][1] and rank.failed[0] == 1, words)
    rank.close()


def dying():
    rank = Rank(OWN + "leaves", envs=1, process=True)
    rank.reset()
    rank.ask(STEP)
    check("a_worker_that_exits_is_gone", rank.process.wait(10) == 7, rank.process.returncode)
    rank = Rank(OWN + "with_child", envs=2, process=True)
    children = [int(number) for number in re.findall(r"child (\d+)", read_some(rank.process.stderr, 2))]
    rank.reset()
    alive = all(os.path.exists("/proc/%d" % child) for child in children)
    rank.ours.close()
    rank.process.wait(10)
    limit = time.time() + 5
    while time.time() < limit and any(running(child) for child in children):
        time.sleep(0.02)
    check("with_the_rank_go_the_worker_and_its_children", alive and len(children) == 2 and not any(running(child) for child in children), children)


def read_some(stream, lines):
    return "".join(stream.readline() for _ in range(lines))


def running(pid):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pictures():
    rank = Rank(OWN + "counter", envs=2, draw=1, first=3)
    rank.reset()
    rank.step(0)

    def picture(word, number):  # of the rank that there is
        rank.send([word, number])
        what, *sizes = rank.line()
        if what != "image":
            return sizes
        height, width, size = map(int, sizes)
        while len(rank.buffer) < size:
            rank.buffer += rank.ours.recv(65536)
        pixels, rank.buffer = np.frombuffer(rank.buffer[:size], np.uint8).reshape(height, width, 3), rank.buffer[size:]
        return pixels.shape + tuple(pixels[0, 0].tolist())

    check("an_environment_is_drawn", picture("draw", 4) == (4, 6, 3, 1, 1, 255), picture("draw", 4))
    check("before_any_end_there_is_none_of_it", "no episode of it has ended yet" in picture("draw_ended", 4)[0], picture("draw_ended", 4))
    rank.step(0)
    rank.step(0)
    check("an_end_is_drawn_as_it_was", picture("draw_ended", 3)[3:] == (3, 2, 255) and picture("draw", 3)[3:] == (0, 3, 255), (picture("draw_ended", 3), picture("draw", 3)))
    rank.step(0)
    check("and_steps_go_on", rank.obs[1, 0].tolist() == [1, 2], rank.obs)
    rank.close()
    for source, said in (("blind", 'render() gave NoneType instead of an array of height, width and 3 colours: it must be made with render_mode="rgb_array"'), ("broken_screen", "render() fails: OSError: no screen"), ("renderless", "Renderless has no render(): define one that returns a picture, an array of height, width and 3 colours (docs/python.md)")):
        rank = Rank(OWN + source, envs=1, draw=1)
        rank.reset()
        for _ in range(3):
            rank.step(0)
        check("an_end_needs_no_picture_%s" % source, rank.ep_end[0] == 1, rank.ep_end)
        check("what_cannot_be_drawn_says_why_%s" % source, picture("draw", 0) == picture("draw_ended", 0) == [said], picture("draw", 0))
        rank.close()
    for source in ("gymnasium:CartPole-v1", "mpe2:simple_spread_v3", OWN + "by_keyword"):
        if source.endswith("keyword") or not (skipping("pygame", source) or skipping("mpe2", source)):
            rank = Rank(source, envs=1, draw=1)
            rank.reset()
            check("%s_is_made_to_be_drawn" % source.rpartition(":")[2], len(picture("draw", 0)) == 6, picture("draw", 0))
            rank.close()


def order():
    """What was asked for first is done first, and is told before the rest is done."""
    rank = Rank(OWN + "slow", envs=3, args='{"seconds": 0.15}')
    rank.reset()
    rank.wait(rank.ask(STEP, [0]))  # now 0 has been asked once more than the others
    rank.ask(STEP, [2])
    time.sleep(0.05)
    rank.ask(STEP, [0])
    rank.ask(STEP, [1])
    rank.wait([2])
    time.sleep(0.02)
    answers = int(rank.answer[0])
    rank.wait([1])
    time.sleep(0.02)
    check("the_oldest_comes_first", rank.done[0] != rank.want[0], (rank.done, rank.want))
    check("each_slow_one_is_told_at_once", int(rank.answer[0]) > answers, (answers, rank.answer))
    rank.wait([0])
    rank.close()


def again():
    """A worker outlives an instance: the same environments, as if they were new."""
    rank = Rank(OWN + "counter", envs=2, seed=3)
    made = len(own().made)
    rank.reset()
    rank.step(1)
    first, seeds = own().made[-2:], [env.seeds[-1] for env in own().made[-2:]]
    rank.open(OWN + "counter", 2, seed=3)
    rank.reset()
    rank.send(["leave"])
    check("a_worker_leaves_the_window", rank.line() == ["left"], made)
    rank.open(OWN + "counter", 2, seed=3)
    rank.reset()
    check("environments_are_used_again", len(own().made) == made and all(env.resets >= 3 for env in first), (made, len(own().made)))
    check("and_seeded_again", [env.seeds[-1] for env in first] == seeds and rank.obs[:, 0, 0].tolist() == [0, 0], [env.seeds for env in first])
    rank.open(OWN + "counter", 3, stream=1, first=8)
    rank.reset()
    rank.step(1)
    check("as_many_more_are_made_as_are_missing", len(own().made) == made + 1 and rank.reward.shape == (3, 1), len(own().made))
    check("another_stream_has_other_seeds", not {env.seeds[-1] for env in own().made[-3:]} & set(seeds), seeds)
    rank.open(OWN + "counter", 1, draw=1)
    check("what_is_drawn_is_made_anew", len(own().made) == made + 2, len(own().made))
    rank.open(OWN + "counter", 1, again=1)
    rank.reset()
    check("after_a_death_seeds_are_others", own().made[-1].seeds[-1] not in seeds, (own().made[-1].seeds, seeds))
    rank.close()


def again_without_seeds():
    """What is seeded only as it is made is used again for the same purpose of the same run."""
    rank = Rank(OWN + "battle", envs=2, seed=3)
    battles, made = own().battles, len(own().battles)
    rank.open(OWN + "battle", 2, seed=3)
    check("for_the_same_purpose_it_is_used_again", len(battles) == made, len(battles))
    before = {one.given_seed for one in battles}
    rank.open(OWN + "battle", 2, seed=4)
    check("for_another_seed_it_is_made_anew", len(battles) == made + 2 and not {one.given_seed for one in battles[-2:]} & before, [one.given_seed for one in battles])
    rank.close()


if skipping("gymnasium", "processes"):
    sys.exit(0)
raising()
beginners()
watched()
restarting()
dying()
pictures()
order()
again()
again_without_seeds()
sys.exit(1 if fake_rank.failures else 0)
