#!/usr/bin/env python3
"""scripts/import.py: what it makes of state dictionaries trains on (train.init), and what was exported comes back with the same bits."""
import os
import pickle
import shutil
import subprocess
import sys
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "..", "..")
sys.path[:0] = [HERE, os.path.join(SOURCE, "scripts")]
try:
    import h5py
    import numpy as np
    import torch
except ImportError as missing:
    print(f"ok - imports # SKIP {missing}")
    sys.exit(0)
import mappo  # noqa: E402
import policies  # noqa: E402
from exporters import torch_file  # noqa: E402
from runs import check, keep, mappo as program, script  # noqa: E402

STILL = ["adam.lr=0", "adam.critic_lr=0", "rollout.envs=2", "rollout.steps=10", "train.env_steps=20", "threads=1", "eval.env_steps=0", "--quiet"]


def printed_settings(said):
    """What follows train.init=… in the last line."""
    return said.strip().splitlines()[-1].split(" train.init=")[1].split()[1:]


def same(a, b, part="/"):
    """Both checkpoints have these arrays with the same bits."""
    a, b = ({name: value for name, value in mappo.Checkpoint(file).data.items() if part in name} for file in (a, b))
    return bool(a) and set(a) == set(b) and all(a[name].tobytes() == b[name].tobytes() and a[name].dtype == b[name].dtype for name in a)


def round_trips():
    for name, extra in ("mlp", ["--critic", "c.pt", "--value-norm", "v.pt"]), ("rnn", ["--critic", "c.pt"]), ("multi", ["--critic", "c.pt", "--value-norm", "v.pt"]):
        code, out = policies.train(name)
        code, out = (code, out) if code else script("export.py", name, "--torch", "a.pt", *extra)
        files = ["a.pt", *[item for item in extra if item.endswith(".pt")]]
        code, out = (code, out) if code else script("import.py", *files, "-o", "init.h5")
        if name == "multi" and mappo.load("multi").running is not None:
            check("multi_is_not_what_the_class_holds", code == 1, out)
            continue
        check(f"{name}_goes_out_and_in", code == 0, out)
        check(f"{name}_comes_back_with_the_same_bits", code == 0 and same(name, "init.h5"), out)
        if code:
            continue
        if name == "mlp":
            code, said = program("inspect", "init.h5", "--check")
            check("the_program_finds_the_file_whole", code == 0 and "whole" in said, said)
        env = next(item for item in policies.POLICIES[name][0] if item.startswith("env="))
        more = [item for item in policies.POLICIES[name][0] if item.startswith(("env.", "ppo.chunk"))]
        code, said = program("train", f"run={name}-again", "train.init=init.h5", env, *more, *STILL, *printed_settings(out))
        check(f"{name}_trains_on_with_the_settings_that_were_printed", code == 0 and same(f"{name}-again", "init.h5", "/actor/"), said)
        check(f"{name}_is_told_of_no_difference", "was trained with" not in said and "begins anew" not in said, said)


def stack(widths, seed):
    torch.manual_seed(seed)
    return {f"layer{k + 1}.{leaf}": value for k, layer in enumerate(torch.nn.Linear(a, b) for a, b in zip(widths, widths[1:])) for leaf, value in layer.state_dict().items()}


def stacks():
    pendulum = ["env=classic/Pendulum-v1", "wrap.rescale_action=0"]
    torch.save(stack([3, 16, 16, 1], 1), "ppo_actor.pth")
    torch.save(stack([3, 16, 16, 1], 2), "ppo_critic.pth")
    code, out = script("import.py", "ppo_critic.pth", "ppo_actor.pth", "-o", "init.h5", "--std", "0.5")
    check("a_stack_of_linear_layers_is_read", code == 0 and "ReLU" in out, out)
    code, said = program("train", "run=beginner", "train.init=init.h5", *pendulum, *STILL, *printed_settings(out))
    check("and_trained_on", code == 0 and same("beginner", "init.h5", "actor/") and same("beginner", "init.h5", "critic/"), said)
    actor, obs = torch.load("ppo_actor.pth"), torch.tensor([[0.3, -0.9, 2.0], [1.0, 0.0, -1.0]])
    x = torch.relu(torch.relu(obs @ actor["layer1.weight"].T + actor["layer1.bias"]) @ actor["layer2.weight"].T + actor["layer2.bias"]) @ actor["layer3.weight"].T + actor["layer3.bias"]
    made = mappo.load("beginner").forward(obs.numpy())
    check("it_makes_what_it_made_in_torch", np.abs(made.output - x.numpy()).max() < 1e-6 and np.allclose(made.log_std, np.log(0.5)), (made, x))
    code, out = script("import.py", "ppo_actor.pth", "-o", "init.h5", "--std", "0.5")
    code, said = program("train", "run=alone", "train.init=init.h5", *pendulum, *STILL, *printed_settings(out))
    check("an_actor_alone_begins_with_a_new_critic_and_that_is_said", code == 0 and "init.h5 holds no /policy/agent/critic/: that begins anew" in said and same("alone", "init.h5", "actor/"), said)
    code, out = script("import.py", "ppo_critic.pth", "-o", "init.h5")
    check("of_a_critic_alone_no_actor_is_spoken", code == 0 and "ppo_critic.pth: critic: 3 numbers -> 1" in out and "actor" not in out, out)
    code, said = program("train", "run=critic", "train.init=init.h5", *pendulum, *STILL, *printed_settings(out))
    check("and_it_begins_with_a_new_actor", code == 0 and "init.h5 holds no /policy/agent/actor/: that begins anew" in said and same("critic", "init.h5", "critic/"), said)
    both = {f"{part}.{number}.{leaf}": value for part, seed in (("actor_mean", 3), ("critic", 4)) for k, number in enumerate((0, 2, 4))
            for leaf, value in (("weight", stack([3, 8, 8, 1], seed)[f"layer{k + 1}.weight"]), ("bias", stack([3, 8, 8, 1], seed)[f"layer{k + 1}.bias"]))}
    torch.save({**both, "actor_logstd": torch.full((1, 1), -0.7)}, "agent.pt")
    code, out = script("import.py", "agent.pt", "-o", "init.h5", "--activation", "tanh")
    code, said = program("train", "run=cleanrl", "train.init=init.h5", *pendulum, *STILL, *printed_settings(out))
    deviation = mappo.Checkpoint("init.h5").data.get("agent/actor/log_std")
    check("actor_and_critic_of_one_file_with_a_deviation", code == 0 and np.allclose(deviation, -0.7) and same("cleanrl", "init.h5", "critic/"), said)


def agents_apart():
    state = {name: torch.from_numpy(value) for name, value in torch_file.state_dict("a-mlp.pt").items()}
    for agent in range(3):
        torch.save({name: value + agent for name, value in state.items()}, f"actor_agent{agent}.pt")
    code, out = script("import.py", *(f"actor_agent{agent}.pt" for agent in (2, 0, 1)), "-o", "init.h5", "--activation", "tanh")
    code, said = program("train", "run=separated", "train.init=init.h5", "env=mpe/simple_spread", *STILL, *printed_settings(out))
    data = mappo.Checkpoint("init.h5").data
    check("files_of_agents_are_each_ones", code == 0 and "policy.share=false" in out and same("separated", "init.h5", "actor/") and
          (data["agent/2/actor/fc1/bias"] - data["agent/0/actor/fc1/bias"] > 1.5).all(), said)
    code, out = script("import.py", "actor_agent0.pt", "actor_agent2.pt", "-o", "x.h5")
    check("one_is_missing", code == 1 and "of each agent from 0 on" in out and not os.path.exists("x.h5"), out)


class Evil:
    def __reduce__(self):
        return os.mkdir, ("it-ran",)


def mistakes():
    with zipfile.ZipFile("evil.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": Evil()}))
    code, out = script("import.py", "evil.pt", "-o", "x.h5")
    check("a_pickle_that_wants_to_run_something_is_refused_and_not_run", code == 1 and "only a state_dict is read" in out and not os.path.exists("it-ran"), out)
    torch.save(torch.nn.Linear(2, 2), "module.pt")
    code, out = script("import.py", "module.pt", "-o", "x.h5")
    check("a_whole_module_is_told_how_to_be_saved", code == 1 and "torch.save(module.state_dict(), FILE)" in out, out)
    torch.save(stack([3, 8, 1], 1), "old.pt", _use_new_zipfile_serialization=False)
    code, out = script("import.py", "old.pt", "-o", "old.h5", "--std", "1")
    check("old_files_are_read_by_torch", code == 0, out)
    torch.save({"layer1.weight": torch.zeros(2, 2, dtype=torch.bfloat16)}, "half.pt")
    with zipfile.ZipFile("packed.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    whole = bytearray(open("packed.pt", "rb").read())
    whole[whole.rindex(b"PK\x01\x02") + 10] = 99  # its way of packing
    with open("packed.pt", "wb") as file:
        file.write(whole)
    with open("nothing.pt", "wb") as file:
        file.write(b"nothing")
    torch.save({"conv.weight": torch.zeros(2, 2, 3, 3), "conv.bias": torch.zeros(2)}, "conv.pt")
    torch.save({"base.mlp.fc1.0.weight": torch.zeros(4, 3), "base.mlp.fc1.0.bias": torch.zeros(4), "base.odd": torch.zeros(1)}, "odd.pt")
    torch.save(stack([3, 8, 8, 1], 1), "wide_critic.pt")
    whole = open("a-mlp.pt", "rb").read()
    with open("cut.pt", "wb") as file:
        file.write(whole[:len(whole) // 2])
    for name, files, words in [("no_file", ["nowhere.pt"], "nowhere.pt"), ("no_torch_file", ["nothing.pt"], "nothing.pt"), ("a_cut_file", ["cut.pt"], "cut.pt"), ("numbers_of_another_kind", ["half.pt"], "tensors of BFloat16Storage are not read"), ("an_archive_packed_otherwise", ["packed.pt"], "packed.pt is damaged"), ("convolutions", ["conv.pt"], "conv is no linear layer"),
                               ("an_unknown_name", ["odd.pt"], "no place for base.odd"), ("another_critic", ["old.pt", "wide_critic.pt"], "actor and critic are alike"),
                               ("two_critics", ["old.pt", "wide_critic.pt", "ppo_critic.pth"], "another critic"), ("a_normaliser_alone", ["v.pt"], "value normaliser alone")]:
        code, out = script("import.py", *files, "-o", "x.h5")
        check(f"{name}_is_refused_in_one_line", code == 1 and words in out and out.startswith("import.py: ") and out.count("\n") == 0 and not os.path.exists("x.h5"), out)
    shutil.copy("mlp/latest.h5", "theirs.h5")
    before = open("theirs.h5", "rb").read()
    code, out = script("import.py", "old.pt", "-o", "theirs.h5", "--std", "1")
    check("a_file_of_another_is_kept", code == 1 and "not of this script" in out and "--force" in out and open("theirs.h5", "rb").read() == before, out)
    code, out = script("import.py", "old.pt", "-o", "theirs.h5", "--std", "1", "--force")
    check("unless_it_may_go", code == 0 and open("theirs.h5", "rb").read() != before, out)
    os.symlink("theirs.h5", "link.h5")
    code, out = script("import.py", "old.pt", "-o", "link.h5", "--std", "1", "--force")
    check("a_link_stays_a_link", code == 1 and "choose another name" in out and os.path.islink("link.h5"), out)
    init = ["train.init=mlp.h5", "threads=1", "rollout.envs=2", "rollout.steps=10", "train.env_steps=20", "policy.hidden=12"]
    code, said = program("train", "run=elsewhere", "env=lbf/foraging", *init)
    check("another_group_is_an_error_that_says_so", code == 4 and 'nothing of group "player"' in said and "--group" in said and "anew" not in said, said)
    code, said = program("train", "run=elsewhere", "env=mpe/simple_spread", *init, "policy.hidden=16")
    check("another_width_is_told_by_its_setting", code == 4 and "policy.hidden=12 (here 16)" in said, said)


def one_more_round():
    script("export.py", "mlp", "--torch", "a-mlp.pt")
    script("import.py", "a-mlp.pt", "-o", "mlp.h5")


keep(round_trips, one_more_round, stacks, agents_apart, mistakes)
