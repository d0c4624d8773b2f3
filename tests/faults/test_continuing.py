#!/usr/bin/env python3
"""Going on with a run, playing it and starting from it after something else changed: its environment's place, its settings, its rules. What a
person changed is taken or named, never ignored.

# timeout: 300"""
import glob
import os
import re
import shutil
import subprocess

from runs import check, keep, lines, mappo

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
SMALL = ["rollout.envs=4", "rollout.steps=10", "policy.hidden=16", "ppo.epochs=1", "threads=1", "eval.env_steps=0"]
UPDATE = 40  # environment steps


def train(updates, *args):
    return mappo(f"train.env_steps={updates * UPDATE}", *SMALL, *args)


def warnings(out):
    return [line for line in out.splitlines() if line.startswith("mappo: ")]


def plugin(path, *edits):
    """The template's environment, with edits of its source."""
    with open(f"{ROOT}/envs/template/meeting.c") as file:
        text = file.read()
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    done = subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-O1", "-shared", "-fPIC", f"-I{ROOT}/src", "-o", path, "-x", "c", "-"],
                          input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return path


NEW_OPTION = ('"agents"},', '"agents"},\n{"colour", MAPPO_OPTION_INT, "7", 0, 9, NULL, "an option that came later"},')
ENUM = ("OPTION_N, OPTION_CELLS", "OPTION_N, OPTION_COLOUR, OPTION_CELLS")
OTHER_RULES = ("-(rule_real)(high - low) /", "-2 * (rule_real)(high - low) /")


def a_plugin_that_moved():
    plugin("here/meeting.so")
    train(2, "env=here/meeting.so", "run=moved")
    os.makedirs("there")
    os.rename("here/meeting.so", "there/meeting.so")
    code, out = mappo("run=moved", f"train.env_steps={4 * UPDATE}")
    check("a_plugin_that_is_gone_says_what_to_give", code == 2 and "env=PATH/meeting.so" in out and "here/meeting.so" in out, f"{code}: {out}")
    code, out = mappo("eval", "moved", "episodes=2")
    check("and_so_does_eval", code == 2 and "env=PATH/meeting.so" in out, f"{code}: {out}")
    code, out = train(4, "env=there/meeting.so", "run=moved")
    check("a_run_goes_on_with_the_new_path_of_its_plugin", code == 0 and "at update 2," in out and not warnings(out), f"{code}: {out}")
    code, out = mappo("run=moved", f"train.env_steps={5 * UPDATE}")
    check("and_then_finds_it_by_itself", code == 0 and "at update 4," in out, f"{code}: {out}")
    code, out = mappo("eval", "moved", "episodes=2")
    check("and_is_played_without_a_word", code == 0 and not warnings(out), f"{code}: {out}")


def a_plugin_that_was_built_anew():
    train(2, "env=there/meeting.so", "run=rebuilt")
    plugin("there/meeting.so", OTHER_RULES)
    text = "is not the file that this was trained with"
    code, out = mappo("eval", "rebuilt", "episodes=2")
    check("eval_warns_once_of_a_plugin_that_was_built_anew", code == 0 and out.count(text) == 1, f"{code}: {out}")
    code, out = train(2, "env=there/meeting.so", "run=from_rebuilt", "train.init=rebuilt")
    check("so_does_a_run_that_starts_from_its_networks", code == 0 and out.count(text) == 1, f"{code}: {out}")
    code, out = mappo("run=rebuilt", f"train.env_steps={4 * UPDATE}")
    check("so_does_a_run_that_goes_on", code == 0 and out.count(text) == 1 and "at update 2," in out, f"{code}: {out}")
    code, out = mappo("run=rebuilt", f"train.env_steps={5 * UPDATE}")
    check("but_not_again_after_that", code == 0 and text not in out, f"{code}: {out}")
    plugin("there/meeting.so", NEW_OPTION, ENUM)
    code, out = mappo("run=rebuilt", f"train.env_steps={6 * UPDATE}")
    check("an_option_that_came_later_orphans_no_run", code == 0 and "at update 5," in out, f"{code}: {out}")
    plugin("there/meeting.so", (".version = 1,", ".version = 2,"))
    code, out = mappo("run=rebuilt", f"train.env_steps={7 * UPDATE}")
    check("another_version_of_the_rules_is_refused_with_both_numbers", code == 4 and "version 1 of template/meeting" in out and "version 2" in out,
          f"{code}: {out}")
    code, out = mappo("train", "--dry-run", "run=rebuilt", f"train.env_steps={7 * UPDATE}")
    check("before_it_waits_in_a_queue", code == 4 and "version 1 of template/meeting" in out, f"{code}: {out}")
    plugin("there/meeting.so", ("template/meeting", "my/meeting"))
    code, out = train(7, "env=there/meeting.so", "run=rebuilt")
    check("another_environment_is_refused_by_its_id", code == 2 and "env.name (now my/meeting, before template/meeting)" in out, f"{code}: {out}")


def an_option_with_another_default():
    plugin("there/meeting.so")
    train(2, "env=there/meeting.so", "run=default")
    train(5, "env=there/meeting.so", "run=undisturbed")
    plugin("there/meeting.so", ('"cells", MAPPO_OPTION_INT, "9"', '"cells", MAPPO_OPTION_INT, "6"'))
    code, out = mappo("run=default", f"train.env_steps={4 * UPDATE}")
    check("a_run_goes_on_with_the_value_that_was_the_default", code == 0 and "at update 2," in out and "cells=9" in out, f"{code}: {out}")
    code, out = train(5, "run=default", "env=there/meeting.so", "env.cells=9")
    check("and_again_where_it_is_given", code == 0 and "at update 4," in out, f"{code}: {out}")
    code, out = mappo("inspect", "default", "undisturbed")
    differ = re.findall(r"^  (/\S+)", out, re.M)
    check("as_if_nothing_had_changed_but_the_hash", differ == ["/environments/hash", "/environments/state"], f"{code}: {out}")
    code, out = train(6, "run=default", "env=there/meeting.so", "env.cells=6")
    check("but_not_with_the_new_default", code == 2 and "env.cells (now 6, before 9)" in out, f"{code}: {out}")


def a_folder_is_named_after_the_environments_id():
    plugin("there/meeting.so")
    train(1, "env=there/meeting.so")
    found = glob.glob("runs/*")
    check("a_folder_is_named_after_the_environments_id", [os.path.basename(f) for f in found] and
          os.path.basename(found[0]).startswith("template-meeting-mappo-s1-"), found)
    # As version 0.1 named it: the same hash behind the path.
    path = re.sub(r"[^A-Za-z0-9_.-]+", "-", os.path.realpath("there/meeting.so")).strip("-")
    old = found[0].replace("template-meeting", path)
    os.rename(found[0], old)
    code, out = train(3, "env=there/meeting.so")
    check("a_run_in_a_folder_that_was_named_after_the_path_goes_on_there", code == 0 and f"continuing {old} at update 1" in out and
          glob.glob("runs/*") == [old], f"{code}: {out} {glob.glob('runs/*')}")
    shutil.copytree("there", "elsewhere")
    code, out = train(1, "env=elsewhere/meeting.so")
    check("an_older_run_of_a_plugin_that_lay_elsewhere_is_pointed_out", code == 0 and len(warnings(out)) == 1 and f"run={old} continues it" in out, out)
    shutil.rmtree(found[0])
    code, out = train(3, "env=there/meeting.so", "--fresh")
    check("and_fresh_names_the_new_run_rightly", code == 0 and sorted(glob.glob("runs/*")) == sorted([found[0], old + ".1"]), f"{out} {glob.glob('runs/*')}")
    with open(f"{found[0]}/config.ini") as file:
        check("config_ini_names_the_id_beside_the_path", "\n# the plugin of template/meeting\n" in file.read())


def a_value_in_another_spelling():
    """Options of the environment are one value however they are written, as other settings are."""
    named = [mappo("--dry-run", "seed=8", option) for option in ("env.local_ratio=0.25", "env.local_ratio=.250", "env.local_ratio=25e-2")]
    check("spellings_of_a_value_are_one_run", len(set(named)) == 1 and named[0][0] == 0, named)
    check("of_a_default_too", mappo("--dry-run", "seed=8", "env.N=03") == mappo("--dry-run", "seed=8"), mappo("--dry-run", "seed=8", "env.N=03"))
    train(1, "run=spelled", "env.N=2", "env.terminate_on_success=yes")
    with open("spelled/config.ini") as file:
        check("config_ini_spells_it_as_the_program_does", "terminate_on_success = 1\n" in file.read())
    code, out = train(2, "run=spelled", "env.N=2.0", "env.terminate_on_success=on")
    check("a_run_goes_on_with_it_spelled_otherwise", code == 0 and not warnings(out), f"{code}: {out}")
    code, out = mappo("eval", "spelled", "env.N=+2", "episodes=2")
    check("and_is_played_so_without_a_word", code == 0 and not warnings(out), f"{code}: {out}")
    # Version 0.2 named a run after what was written: that of env.N=03 alone is 23b85005.
    older = "runs/mpe-simple_spread-mappo-s1-23b85005"
    mappo(f"run={older}", "env.N=03", "train.env_steps=3200", "threads=1")
    code, out = mappo("env.N=03", "train.env_steps=6400", "threads=1", "--dry-run")
    check("a_run_that_was_named_after_its_spelling_goes_on", f"continues {older} at 3200" in out, f"{code}: {out}")
    shutil.rmtree(older)


def rate(run):
    return lines(run)[-1]["learning_rate"]


def a_schedule_that_ended():
    code, out = train(2, "run=linear", "adam.schedule=linear")
    check("a_schedule_that_ends_with_its_run_needs_no_word", code == 0 and not warnings(out), out)
    code, out = mappo("run=linear", f"train.env_steps={4 * UPDATE}")
    said = warnings(out)
    advice = f"adam.schedule_steps={4 * UPDATE}"
    check("going_on_beyond_a_schedule_warns_that_nothing_is_learned", code == 0 and len(said) == 1 and advice in said[0] and rate("linear") == 0, out)
    code, out = mappo("run=linear", f"train.env_steps={8 * UPDATE}", f"adam.schedule_steps={8 * UPDATE}")
    rates = [line["learning_rate"] for line in lines("linear")][4:]
    expected = [7e-4 * (1 - done / 8) for done in range(4, 8)]
    check("the_end_of_a_schedule_can_be_moved", code == 0 and not warnings(out) and all(abs(a - b) < 1e-12 for a, b in zip(rates, expected)),
          f"{out} {rates} {expected}")
    code, out = mappo("run=linear", f"train.env_steps={9 * UPDATE}")
    check("and_stays_where_it_was_moved_to", "has reached its end at adam.schedule_steps=320" in out and rate("linear") == 0, out)


def edit(path, *edits):
    with open(path) as file:
        text = file.read()
    for old, new in edits:
        assert re.search(old, text, re.MULTILINE), old
        text = re.sub(old, new, text, flags=re.MULTILINE)
    with open(path, "w") as file:
        file.write(text)
    return text


def an_edited_config_ini():
    train(2, "run=edited")
    ini = "edited/config.ini"
    edit(ini, (r"^env_steps = 80$", "env_steps = 160"))
    code, out = mappo("run=edited")
    said = warnings(out)
    check("a_finished_run_whose_config_ini_was_edited_says_where_settings_come_from",
          code == 0 and len(said) == 1 and "train.env_steps is 160 there, 80 in force" in said[0] and "command line" in said[0], out)
    text = edit(ini, (r"^lr = .*$", "lr = 0.1"))
    code, out = mappo("run=edited", f"train.env_steps={4 * UPDATE}")
    said = warnings(out)
    check("a_run_that_goes_on_names_what_was_edited_and_is_not_in_force", code == 0 and len(said) == 1 and
          "adam.lr is 0.1 there, 0.0007 in force" in said[0] and "env_steps" not in said[0].split("there")[0], out)
    with open("edited/config.ini.1") as file:
        check("and_keeps_the_edited_file", "edited/config.ini.1" in out and file.read() == text, out)
    code, out = mappo("--config", "edited/config.ini.1", "run=another", *SMALL)
    check("and_its_advice_works", code == 0 and rate("another") == 0.1, out)
    code, out = mappo("run=edited", f"train.env_steps={5 * UPDATE}")
    check("a_config_ini_that_nobody_touched_needs_no_word_and_no_copy", code == 0 and not warnings(out) and not os.path.exists("edited/config.ini.2"), out)
    with open(ini, "a") as file:
        file.write("# what I think of it\n")
    code, out = mappo("run=edited", f"train.env_steps={6 * UPDATE}")
    with open("edited/config.ini.2") as file:
        check("a_persons_comment_is_kept_too", len(warnings(out)) == 1 and "# what I think of it" in file.read(), out)
    # As version 0.1 left it: without a checksum.
    edit(ini, (r"\n# written by mappo.*\n", ""))
    code, out = mappo("run=edited", f"train.env_steps={7 * UPDATE}")
    check("one_of_version_0_1_that_nobody_touched_needs_no_word", code == 0 and not warnings(out) and not os.path.exists("edited/config.ini.3"), out)
    edit(ini, (r"\n# written by mappo.*\n", ""), (r"^episodes = .*$", "episodes = 9"))
    code, out = mappo("run=edited")
    check("but_one_that_was_edited_does", code == 0 and "eval.episodes is 9 there, 128 in force" in out, out)
    shutil.copytree("edited/", "away")
    os.unlink("away/config.ini")
    code, out = mappo("run=away", f"train.env_steps={8 * UPDATE}")
    check("one_that_was_removed_comes_back", code == 0 and not warnings(out) and os.path.exists("away/config.ini"), out)
    os.rename("away/config.ini", ini)
    # Killed between its start, which took another setting, and its next checkpoint: that is no edit.
    shutil.copytree("edited", "killed")
    mappo("run=edited", f"train.env_steps={10 * UPDATE}", "eval.episodes=7")
    shutil.copy(ini, "killed/config.ini")
    code, out = mappo("run=killed", f"train.env_steps={9 * UPDATE}")
    check("what_a_leg_that_was_killed_wrote_is_no_edit", code == 0 and not warnings(out) and not os.path.exists("killed/config.ini.3"), out)


def networks_under_other_settings():
    train(2, "run=base", "env.rules=mpe2")
    code, out = train(1, "run=i1", "train.init=base")
    check("networks_under_the_same_settings_need_no_word", code == 0 and not warnings(out), out)
    other = {"policy.activation": ("tanh", "relu"), "policy.feature_norm": ("on", "off"), "policy.layer_norm": ("true", "false"),
             "env.rules": ("mpe2", "on-policy"), "policy.layers": ("2", "1"), "wrap.rescale_action": ("false", "true"),
             "critic.state": ("auto", "concat"), "norm.value": ("valuenorm", "none"), "norm.obs": ("none", "running")}
    silent = []
    for key, (then, now) in other.items():
        code, out = train(1, f"run=i-{key}", "train.init=base", f"{key}={now}")
        said = [line for line in warnings(out) if f"{key}={then} (here {now})" in line]
        if len(said) != 1 or (code == 0 and "mean something else" not in out):
            silent.append((key, code, out))
    check("networks_that_mean_something_else_are_taken_with_a_warning_that_names_each_key", not silent, silent[:1])
    code, out = train(1, "run=i2", "train.init=base", "adam.lr=1e-3", "gae.gamma=0.9", "ppo.entropy=0.02")
    check("but_not_for_keys_that_leave_them_as_they_are", code == 0 and not warnings(out), out)
    code, out = train(1, "run=i3", "train.init=base", "policy.hidden=17")
    check("networks_that_do_not_fit_name_the_setting", code == 4 and "policy.hidden=16 (here 17)" in out and "dataset" not in out, f"{code}: {out}")
    code, out = train(1, "run=i4", "train.init=base", "critic.share=false")
    check("nor_do_critics_that_were_shared_otherwise", code == 4 and "critic.share=auto (here false)" in out and "dataset" not in out, f"{code}: {out}")
    code, out = mappo("eval", "base", "env.rules=on-policy", "episodes=2")
    check("eval_with_other_rules_says_that_it_was_trained_with_others",
          code == 0 and len(warnings(out)) == 1 and "was trained with env.rules=mpe2 (here on-policy)" in out, f"{code}: {out}")
    code, out = mappo("eval", "base", "env.N=5")
    check("eval_with_more_agents_says_how_many_it_was_trained_with", code == 4 and "was trained with env.N=3 (here 5)" in out and "dataset" not in out,
          f"{code}: {out}")
    code, out = mappo("eval", "base", "env.rules=mpe2", "episodes=2", "eval.seed=3")
    check("eval_as_it_was_trained_needs_no_word", code == 0 and not warnings(out), f"{code}: {out}")


def running_statistics():
    norms = "norm.obs=running", "norm.reward=running"
    for env in "mpe/simple_spread", "test/kitchen_sink":
        name = env.split("/")[1]
        train(2, f"run=cut-{name}", f"env={env}", *norms)
        train(4, f"run=cut-{name}", f"env={env}")
        train(4, f"run=whole-{name}", f"env={env}", *norms)
        code, out = mappo("inspect", f"cut-{name}", f"whole-{name}")
        check(f"running_statistics_go_on_to_the_bit_{name}", code == 0 and "the same bit for bit" in out, f"{code}: {out}")
    code, out = train(1, "run=heir", "train.init=whole-simple_spread", *norms)
    check("and_go_to_a_run_that_begins_with_its_networks", code == 0 and not warnings(out), out)
    code, out = mappo("inspect", "heir")
    rows = (4 + 1) * UPDATE * 3
    check("which_adds_its_own_rows", code == 0 and any("obs_norm/count" in line and line.split()[1] == str(rows) for line in out.splitlines()), out)


def recurrent_networks():
    """What they remember goes on with the episodes; rollouts end in the middle of these."""
    env = "env=test/kitchen_sink"
    settings = "policy=gru", "ppo.chunk=4", "ppo.minibatches=2"
    train(2, "run=cut-gru", env, *settings)
    train(4, "run=cut-gru", env)
    train(4, "run=whole-gru", env, *settings)
    code, out = mappo("inspect", "cut-gru", "whole-gru")
    check("recurrent_networks_go_on_to_the_bit", code == 0 and "the same bit for bit" in out, f"{code}: {out}")
    code, out = mappo("inspect", "whole-gru")
    states = [line for line in out.splitlines() if "_state " in line]
    check("states_of_both_roles_and_groups_are_told", len(states) == 4, out)
    code, out = train(1, "run=heir-gru", env, "train.init=whole-gru", *settings)
    check("and_go_to_a_run_that_begins_with_its_networks", code == 0 and not warnings(out), out)
    code, out = train(1, "run=none", env, "train.init=whole-gru")
    check("networks_without_memory_dont_take_them", code == 4 and "policy.kind=gru (here mlp)" in out, f"{code}: {out}")
    code, out = mappo("eval", "whole-gru", "episodes=3", "record=seen.h5", "picture=seen.svg", "play=trained", "threads=1")
    check("recurrent_networks_are_played_recorded_and_drawn", code == 0 and os.path.exists("seen.h5") and os.path.exists("seen.svg"), f"{code}: {out}")


def convolved_images():
    env = "env=overcooked/cramped_room"
    settings = "policy.conv=5,4", "policy.conv_kernel=3,2", "wrap.agent_id=1"
    train(2, "run=cut-conv", env, *settings)
    train(4, "run=cut-conv", env)
    train(4, "run=whole-conv", env, *settings)
    code, out = mappo("inspect", "cut-conv", "whole-conv")
    check("convolutions_go_on_to_the_bit", code == 0 and "the same bit for bit" in out, f"{code}: {out}")
    code, out = mappo("inspect", "whole-conv")
    weight = next((line for line in out.splitlines() if "agent/critic/conv1/weight " in line), "")
    check("and_are_told_with_their_shape", "[5,52,3,3]" in weight, out)
    code, out = train(1, "run=heir-conv", env, "train.init=whole-conv", *settings)
    check("and_go_to_a_run_that_begins_with_its_networks", code == 0 and not warnings(out), out)
    code, out = train(1, "run=none", env, "train.init=whole-conv", "wrap.agent_id=1")
    check("networks_without_them_dont_take_them", code == 4 and "policy.conv=5,4 (here none)" in out, f"{code}: {out}")
    code, out = train(5, "run=whole-conv", env, "policy.conv=5,4,4")
    check("a_run_keeps_its_own", code == 2 and "policy.conv (now 5,4,4, before 5,4)" in out, f"{code}: {out}")
    code, out = mappo("eval", "whole-conv", "episodes=2", "threads=1")
    check("and_is_played", code == 0 and "trained" in out and not warnings(out), f"{code}: {out}")
    code, out = mappo("eval", "whole-conv", "episodes=2", "threads=1", "group.agent.play=heir-conv")
    check("by_another_runs_actor_too", code == 0 and "heir-conv" in out, f"{code}: {out}")
    train(1, "run=flat-conv", env, "wrap.agent_id=1")
    code, out = mappo("eval", "whole-conv", "episodes=2", "threads=1", "group.agent.play=flat-conv")
    check("but_not_by_one_that_convolves_nothing", code == 2 and "of 522 numbers, policy.conv=none" in out and "of 82 behind convolutions" in out, f"{code}: {out}")


def penalties_and_counts():
    """The penalty's coefficient follows what updates did, and Adam's steps are counted by each network where updates end early."""
    for name, settings in (("penalty", ("ppo.objective=kl", "ppo.kl_target=0.0001")), ("early", ("ppo.target_kl=0.0001", "ppo.critic_warmup=1")),
                           ("annealed", ("ppo.clip_schedule=linear", "ppo.entropy_schedule=cosine", "adam.schedule_steps=100000"))):
        train(2, f"run=cut-{name}", *settings)
        train(4, f"run=cut-{name}", *settings)
        train(4, f"run=whole-{name}", *settings)
        code, out = mappo("inspect", f"cut-{name}", f"whole-{name}")
        check(f"{name}_goes_on_to_the_bit", code == 0 and "the same bit for bit" in out, f"{code}: {out}")
    code, out = mappo("inspect", "whole-penalty")
    beta = next((line.split()[1] for line in out.splitlines() if "/kl_beta " in line), "1")
    check("a_coefficient_has_moved", float(beta) != 1, out)
    clipped = [lines(run)[-1]["clip_fraction"] for run in ("whole-penalty", "whole-early")]
    check("nothing_is_clipped_where_nothing_can_be", clipped[0] is None and clipped[1] is not None, clipped)
    code, out = mappo("inspect", "whole-early")
    count = {line.split()[0].split("/")[-1]: int(line.split()[1]) for line in out.splitlines() if "_step " in line}
    check("actors_that_waited_have_made_fewer_steps", 0 < count.get("actor_step", 0) < count.get("critic_step", 0), out)


def whole_episodes():
    """Rollouts of whole episodes end where environments have begun anew; a run ends after so many episodes, and goes on after more."""
    settings = ("env=classic/CartPole-v1", "rollout.unit=episodes", "ppo.minibatches=2", "norm.reward=running", *SMALL[:1], *SMALL[2:])
    for name, episodes in ("cut", 20), ("cut", 40), ("whole", 40):
        code, out = mappo(f"run=episodes-{name}", "rollout.steps=10", f"train.episodes={episodes}", *settings)
        line = lines(f"episodes-{name}")[-1]
        check(f"a_run_of_{episodes}_episodes_ends_with_them_{name}", code == 0 and episodes <= line["episodes"] < episodes + 4, f"{code}: {out}")
    steps = line["episode_length"] * line["episodes"]
    check("its_steps_are_those_of_its_episodes", abs(line["env_steps"] - steps) < 1e-6 * steps, f"{line['env_steps']}, episodes of {steps}")
    code, out = mappo("inspect", "episodes-cut", "episodes-whole")
    check("whole_episodes_go_on_to_the_bit", code == 0 and "the same bit for bit" in out, f"{code}: {out}")
    code, out = mappo("run=episodes-whole", "train.episodes=40", "--dry-run")
    check("and_are_known_to_be_over", code == 0 and "finished" in out, f"{code}: {out}")


def an_input_norm_of_its_own_choice():
    def norm(folder):
        return re.search(r"feature_norm = (\w+)", open(f"{folder}/config.ini").read())[1]

    template, advice = plugin("few/meeting.so"), "policy.feature_norm=off in a new run"
    for name, args, wanted in (("mpe", (), "on"), ("mpe-off", ("policy.feature_norm=false",), "off"), ("few", (f"env={template}",), "off"),
                               ("few-auto", (f"env={template}", "policy.feature_norm=auto"), "off"),
                               ("few-on", (f"env={template}", "policy.feature_norm=1"), "on")):
        code, out = train(1, f"run=choice-{name}", *args)
        check(f"auto_is_decided_when_a_run_begins_{name}", code == 0 and norm(f"choice-{name}") == wanted, f"{code}: {out}")
        check(f"advice_is_there_where_it_hurts_{name}", (advice in out) == (name == "few-on"), out)
    for name, args, wanted in (("mpe", (), "none"), ("few", (f"env={template}",), "none"),
                               ("sink", ("env=test/kitchen_sink",), "running"), ("sink-none", ("env=test/kitchen_sink", "norm.obs=none"), "none")):
        code, out = train(1, f"run=obs-{name}", *args)
        check(f"norm_obs_is_decided_with_it_{name}", code == 0 and re.search(r"\nobs = (\w+)", open(f"obs-{name}/config.ini").read())[1] == wanted, out)
        code, out = train(2, f"run=obs-{name}", *args[:1], "norm.obs=auto")
        check(f"and_kept_{name}", code == 0 and "at update 1," in out and not warnings(out), f"{code}: {out}")
    code, out = train(2, "run=choice-few-on", f"env={template}", "policy.feature_norm=auto")
    check("asking_for_auto_asks_a_run_for_nothing", code == 0 and norm("choice-few-on") == "on" and "at update 1," in out, f"{code}: {out}")
    # Before it could be auto it was on everywhere, and folders were named by what was asked for besides.
    train(1, "run=runs/template-meeting-mappo-s1", f"env={template}", "policy.feature_norm=on")
    for asked, folder in ((), "runs/template-meeting-mappo-s1"), (("policy.feature_norm=true",), "runs/template-meeting-mappo-s1"):
        code, out = mappo(f"train.env_steps={2 * UPDATE}", f"env={template}", *asked, "--dry-run")
        check(f"an_older_run_goes_on_with_{asked[0] if asked else 'nothing'}", code == 0 and f"continues {folder} at {UPDATE}" in out, f"{code}: {out}")


def networks_of_another_name():
    train(1, "run=giver")
    train(1, "run=taker", "train.init=giver/latest.h5")
    os.symlink("giver", "also_giver")
    for updates, path in enumerate(("./giver/latest.h5", os.path.abspath("giver/latest.h5"), "also_giver/latest.h5"), 2):
        code, out = train(updates, "run=taker", f"train.init={path}")
        check(f"a_run_goes_on_that_calls_its_first_networks_{path if path[0] != '/' else 'by_their_whole_path'}",
              code == 0 and f"at update {updates - 1}," in out, f"{code}: {out}")
    shutil.copytree("giver", "other_giver", symlinks=True)
    code, out = train(9, "run=taker", "train.init=other_giver/latest.h5")
    check("but_not_with_those_of_another_file", code == 2 and "train.init (now other_giver/latest.h5, before giver/latest.h5)" in out, out)


def critics_shared_otherwise_than_actors():
    for share in ("policy.share=true", "critic.share=false"), ("policy.share=false", "critic.share=true"):
        name = share[0].split("=")[1]
        train(2, f"run=cut-{name}", *share)
        code, out = train(4, f"run=cut-{name}", *share)
        check(f"a_run_of_critics_shared_otherwise_goes_on_{name}", code == 0 and "at update 2," in out and not warnings(out), f"{code}: {out}")
        train(4, f"run=whole-{name}", *share)
        code, out = mappo("inspect", f"cut-{name}", f"whole-{name}")
        check(f"to_the_bit_{name}", code == 0 and "the same bit for bit" in out, f"{code}: {out}")
        code, out = mappo("eval", f"whole-{name}", "episodes=2")
        check(f"and_is_played_{name}", code == 0 and "trained" in out and not warnings(out), f"{code}: {out}")
    code, out = train(5, "run=whole-true", "policy.share=true", "critic.share=true")
    check("but_may_not_share_them_in_another_way", code == 2 and "critic.share (now true, before false)" in out, f"{code}: {out}")


keep(a_plugin_that_moved, a_plugin_that_was_built_anew, an_option_with_another_default, a_folder_is_named_after_the_environments_id,
     a_value_in_another_spelling, a_schedule_that_ended, an_edited_config_ini, networks_of_another_name, networks_under_other_settings,
     critics_shared_otherwise_than_actors, running_statistics, recurrent_networks, convolved_images, penalties_and_counts, whole_episodes, an_input_norm_of_its_own_choice)
