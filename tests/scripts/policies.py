"""A policy of every kind there is, of one update each, and recordings of what it does: for tests of whoever reads them. Wide gains and steps, so that
nothing is near to zero, norms do something, and choices differ."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
from runs import mappo  # noqa: E402

SMALL = ["rollout.envs=4", "rollout.steps=40", "policy.hidden=12", "threads=1", "eval.env_steps=0", "--quiet"]
PPO = ["train.env_steps=160", "ppo.epochs=2", "policy.gain=1", "adam.lr=0.05"]
OFF = ["train.env_steps=240", "maddpg.start=80", "maddpg.batch=32", "maddpg.buffer=1000", "adam.lr=0.005"]
PENDULUM = "env=classic/Pendulum-v1"
SINK = "env=test/kitchen_sink"

# name: (settings, evaluation)
POLICIES = {
    "mlp": ([*PPO, "env=mpe/simple_spread"], ["deterministic=0"]),
    "layers": ([*PPO, SINK, "policy.layers=3", "policy.hidden=12,10,8", "policy.activation=relu", "policy.layer_norm=0", "policy.feature_norm=off",
                "norm.obs=running", "policy.std=state"], []),
    "gru": ([*PPO, SINK, "policy=gru", "ppo.chunk=10"], []),
    "apart": ([*PPO, "env=mpe/simple_spread", "policy=gru", "policy.share=0", "ppo.chunk=10", "policy.layers=1", "norm.obs=running",
               "policy.feature_norm=off"], []),
    "rnn": ([*PPO, "env=mpe/simple_reference", "policy=gru", "ppo.chunk=10", "policy.activation=relu", "norm.value=popart"], []),
    "multi": ([*PPO, "env=test/spaces", "env.space=multi_discrete", "policy.layers=3"], []),
    "heads": ([*PPO, "env=test/spaces", "env.space=heads", "policy.std=state"], []),
    "image": ([*PPO, "env=overcooked/cramped_room", "policy.conv=4,3", "policy.conv_kernel=3,2", "wrap.agent_id=1", "wrap.time_limit=20", "policy=gru",
               "ppo.chunk=10", "policy.feature_norm=off"], []),
    "valid": ([*PPO, "env=overcooked/cramped_room", "policy.conv=4", "policy.conv_padding=valid", "wrap.time_limit=20", "policy.feature_norm=off",
               "policy.activation=relu"], []),
    "squash": ([*PPO, PENDULUM, "policy.squash=tanh", "policy.fixed_std=0.4", "wrap.rescale_action=0"], []),
    "rescale": ([*PPO, PENDULUM, "wrap.rescale_action=1", "policy.activation=relu"], []),
    "bins": ([*PPO, PENDULUM, "wrap.rescale_action=0", "wrap.discretise_action=5", "wrap.stack_obs=2"], []),
    "softmax": ([*OFF, "algo=maddpg", "env=mpe/simple_spread", "env.soft_actions=1", "maddpg.actor=softmax", "wrap.rescale_action=0"], []),
    "maddpg": ([*OFF, "algo=maddpg", "env=mpe/simple_tag"], []),
    "ddpg": ([*OFF, "algo=ddpg", PENDULUM, "wrap.rescale_action=1"], []),
    "sac": ([*OFF, "algo=ddpg", PENDULUM, "wrap.rescale_action=1", "maddpg.actor=gaussian"], []),
}


def train(name, run=None):
    settings, _ = POLICIES[name]
    return mappo(f"run={run or name}", *SMALL, *[item for item in settings])


def record(name, file, episodes=3):
    return mappo("eval", name, f"episodes={episodes}", "threads=1", "play=trained", f"record={file}", "--quiet", *POLICIES[name][1])
