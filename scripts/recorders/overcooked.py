"""Records JaxMARL's Overcooked: a group a layout, in the layout that tests/parity/env_overcooked.h reads.

Episodes are short and begin anywhere with anything in hands and pots (random_reset), so that all that can happen happens; actions are drawn,
four of ten interact."""

from recorders._jaxmarl import versions  # noqa: F401

LAYOUTS = ["cramped_room", "asymm_advantages", "coord_ring", "forced_coord", "counter_circuit"]
NAMES = ["overcooked/" + name for name in LAYOUTS]
MAX_STEPS = 60
SEEN = 7  # observations are kept after every SEEN-th step and after the last

DESCRIPTIONS = {
    "agent_pos": "x, y of the agents",
    "agent_dir": "0 up, 1 down, 2 right, 3 left",
    "agent_inv": "carried object, index into attribute objects",
    "grid": "object in each cell, index into attribute objects (a counter is wall; agents are marked)",
    "pot_status": "23 empty, 22, 21 with 1, 2 onions, 20 full, then counting down to 0 = ready; row by row",
    "step": "step counter",
    "action": "index into attribute actions",
    "reward": "of the step, the team's",
    "shaped_reward": "shaping reward reported beside it",
    "done": "flag, step limit reached",
    "obs": "observations of both agents after step obs_row",
    "obs_row": "steps whose observation is kept",
    "first_obs": "[episodes] observations of both agents at reset",
    "episode_start": "[episodes + 1] row of the first step of each episode, and the number of rows",
}


class Recorder:
    def __init__(self, layout):
        import warnings

        import jax
        import numpy

        warnings.simplefilter("ignore", DeprecationWarning)
        from jaxmarl.environments.overcooked import Overcooked, overcooked_layouts

        self.jax, self.numpy = jax, numpy
        self.env = Overcooked(layout=overcooked_layouts[layout], random_reset=True, max_steps=MAX_STEPS)
        self.reset, self.step = jax.jit(self.env.reset), jax.jit(self.env.step_env)
        pots = numpy.sort(numpy.asarray(overcooked_layouts[layout]["pot_idx"]))
        self.pot_y, self.pot_x = pots // self.env.width, pots % self.env.width

    def of_state(self, state):
        maze = self.numpy.asarray(state.maze_map)
        pad = (maze.shape[0] - self.env.height) // 2
        maze = maze[pad:-pad, pad:-pad]
        return {
            "agent_pos": self.numpy.asarray(state.agent_pos),
            "agent_dir": self.numpy.asarray(state.agent_dir_idx),
            "agent_inv": self.numpy.asarray(state.agent_inv),
            "grid": maze[:, :, 0],
            "pot_status": maze[self.pot_y, self.pot_x, 2],
            "step": int(state.step),
        }

    def images(self, obs):
        return self.numpy.stack([self.numpy.asarray(obs[a], dtype=self.numpy.uint8) for a in self.env.agents])

    def episode(self, seed):
        """Rows of steps, the images seen first, and those after each step."""
        numpy = self.numpy
        draw = numpy.random.default_rng(seed)
        obs, state = self.reset(self.jax.random.PRNGKey(seed))
        first, rows, seen, done = self.images(obs), [], [], False
        while not done:
            actions = numpy.where(draw.random(2) < 0.4, 5, draw.integers(0, 5, 2))
            row = {name + "_before": value for name, value in self.of_state(state).items()}
            key = self.jax.random.PRNGKey(0)  # steps draw nothing
            obs, state, reward, dones, info = self.step(key, state, {a: actions[i] for i, a in enumerate(self.env.agents)})
            row.update({name + "_after": value for name, value in self.of_state(state).items()})
            row["action"] = actions
            row["reward"] = [float(reward[a]) for a in self.env.agents]
            row["shaped_reward"] = [float(info["shaped_reward"][a]) for a in self.env.agents]
            row["done"] = done = bool(dones["__all__"])
            rows.append(row)
            seen.append(self.images(obs))
        return rows, first, seen


def record(file, name, episodes, seed):
    import numpy

    layout = name.split("/")[1]
    recorder = Recorder(layout)
    group = file.create_group(layout)
    played = [recorder.episode(seed + e) for e in range(episodes)]
    group.attrs["environment"] = numpy.bytes_("jaxmarl Overcooked layout " + layout)
    for key, value in {"height": recorder.env.height, "width": recorder.env.width, "max_steps": MAX_STEPS}.items():
        group.attrs[key] = numpy.int32(value)
    group.attrs["actions"] = numpy.bytes_(["up", "down", "right", "left", "stay", "interact"])
    group.attrs["objects"] = numpy.bytes_(
        ["unseen", "empty", "wall", "onion", "onion_pile", "plate", "plate_pile", "goal", "pot", "dish", "agent"]
    )

    def write(name, data, kind):
        about = DESCRIPTIONS.get(name) or DESCRIPTIONS[name.replace("_before", "").replace("_after", "")]
        group.create_dataset(name, data=numpy.asarray(data).astype(kind)).attrs["description"] = numpy.bytes_(about)

    rows = [row for steps, _, _ in played for row in steps]
    images = [image for _, _, seen in played for image in seen]
    kept = [row for row in range(len(rows)) if row % SEEN == 0 or rows[row]["done"]]
    for key in rows[0]:
        write(key, [row[key] for row in rows], "f8" if "reward" in key else "u1" if key.startswith(("grid", "done")) else "i4")
    write("obs", [images[row] for row in kept], "u1")
    write("obs_row", kept, "i8")
    write("first_obs", [first for _, first, _ in played], "u1")
    write("episode_start", numpy.cumsum([0] + [len(steps) for steps, _, _ in played]), "i8")
