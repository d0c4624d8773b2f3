"""Records JaxMARL's SMAX with its heuristic enemy: a group a map, in the layout that tests/parity/env_smax.h reads.

Everything that a step draws is recorded with it (the noise of cooldowns, whom enemies turn to), found by splitting the step's key as the
package does. Allies play the package's heuristic, in every other episode with a third of random actions."""

from recorders._jaxmarl import versions  # noqa: F401

MAPS = ["3m", "8m", "25m", "2s3z", "3s5z", "3s_vs_5z", "5m_vs_6m", "6h_vs_8z", "10m_vs_11m", "27m_vs_30m", "3s5z_vs_3s6z"]
NAMES = ["smax/" + name for name in MAPS + ["smacv2_5_units", "smacv2_10_units", "smacv2_20_units"]]

DESCRIPTIONS = {
    "position": "x, y on the map; allies first, then enemies",
    "health": "points",
    "cooldown": "weapon cooldown, seconds (negative when ready for long)",
    "alive": "flag",
    "prev_movement": "movement vectors of the step before",
    "prev_attack": "attack actions of the step before, 0 = none",
    "enemy_target_point": "where the heuristic walks while it sees nobody; 0,0 = not yet set",
    "enemy_last_attacked": "the heuristic's target, as the enemy counts allies (backwards); -1 = none",
    "unit_type": "0 marine, 1 marauder, 2 stalker, 3 zealot, 4 zergling, 5 hydralisk",
    "step": "steps of the episode before this one",
    "ally_action": "0 north, 1 east, 2 south, 3 west, 4 stop, 5 + j attack enemy j",
    "enemy_action": "as ally_action; 5 + j attacks ally n_allies - 1 - j",
    "enemy_random_target": "draw: the ally, counted backwards, that the heuristic would walk to; -1 = sees none",
    "cooldown_noise": "draw of each world step, added to the cooldown of a unit that fires, seconds",
    "obs_before": "allies' observations",
    "ally_mask_before": "allies' available actions",
    "enemy_mask_before": "enemies' available actions",
    "world_state_before": "world_state",
    "reward": "of the step, a number for each ally",
    "done": "flag for each ally: dead",
    "done_all": "flag: the episode is over",
    "last_obs": "[episodes] observations after the last step",
    "last_ally_mask": "[episodes] masks after the last step",
    "last_world_state": "[episodes] world_state after the last step",
    "episode_start": "[episodes + 1] row of the first step of each episode, and the number of rows",
}


class Recorder:
    def __init__(self, scenario):
        import jax
        from jaxmarl.environments.smax import HeuristicEnemySMAX, map_name_to_scenario
        from jaxmarl.environments.smax.heuristic_enemy import create_heuristic_policy, get_heuristic_policy_initial_state

        self.jax, self.env = jax, HeuristicEnemySMAX(scenario=map_name_to_scenario(scenario))
        self.allies, self.enemies = self.env.num_allies, self.env.num_enemies
        self.initial = get_heuristic_policy_initial_state
        self.heuristic = create_heuristic_policy(self.env._env, 0)
        self.play = jax.jit(self._play)
        self.sights = jax.jit(self._sights)
        self.draws = jax.jit(self._draws)
        self.step = jax.jit(self.env.step_env)
        self.ally_policy = jax.jit(jax.vmap(self.heuristic))

    def _sights(self, state):
        """What is seen of a state: allies' observations, masks of both sides, world_state."""
        jnp = self.jax.numpy
        obs, mask = self.env._env.get_obs(state.state), self.env._env.get_avail_actions(state.state)
        return {
            "obs": jnp.stack([obs[a] for a in self.env.agents]),
            "ally_mask": jnp.stack([mask[a] for a in self.env.agents]),
            "enemy_mask": jnp.stack([mask[a] for a in self.env.enemy_agents]),
            "world_state": self.env._env.get_world_state(state.state),
        }

    def _draws(self, key, state):
        """What step_env(key, state, …) draws: noise [8][units], and for each enemy whom it would walk to."""
        jax, env = self.jax, self.env._env
        jnp, units, per = jax.numpy, self.allies + self.enemies, len(self.env._env.unit_features)
        key, enemy_key = jax.random.split(key)
        obs = env.get_obs_unit_list(state.state)

        def target(enemy_key, row):
            walk_key, _ = jax.random.split(enemy_key)
            seen = row[(self.enemies - 1) * per : (units - 1) * per : per] > 0
            return jnp.where(jnp.any(seen), jax.random.choice(walk_key, jnp.arange(self.allies), p=seen / jnp.sum(seen)), -1)

        targets = jax.vmap(target)(jax.random.split(enemy_key, self.enemies), jnp.stack([obs[a] for a in self.env.enemy_agents]))

        def world(step_key, _):
            step_key, world_key = jax.random.split(step_key)
            draw = lambda k: jax.random.uniform(k, minval=-env.time_per_step, maxval=2 * env.time_per_step)
            return step_key, jax.vmap(draw)(jax.random.split(world_key, units))

        return targets, jax.lax.scan(world, key, None, env.world_steps_per_env_step)[1]

    def _play(self, key, policy, obs, random):
        """The allies' actions, a part of them drawn."""
        jax = self.jax
        keys = jax.random.split(key, self.allies + 2)
        actions, policy = jax.vmap(self.heuristic)(keys[2:], policy, obs)
        drawn = jax.random.randint(keys[0], (self.allies,), 0, 5 + self.enemies)
        return jax.numpy.where(jax.random.uniform(keys[1], (self.allies,)) < random, drawn, actions), policy

    def of_state(self, state):
        inner, enemy = state.state, state.enemy_policy_state
        return {
            "position": inner.unit_positions,
            "health": inner.unit_health,
            "cooldown": inner.unit_weapon_cooldowns,
            "alive": inner.unit_alive,
            "prev_movement": inner.prev_movement_actions,
            "prev_attack": inner.prev_attack_actions,
            "enemy_target_point": enemy.default_target,
            "enemy_last_attacked": enemy.last_attacked_enemy,
        }

    def episode(self, seed, random):
        """Rows of steps, and what was seen last."""
        jax = self.jax
        key, reset_key = jax.random.split(jax.random.PRNGKey(seed))
        _, state = self.env.reset(reset_key)
        policy = jax.tree.map(lambda *x: jax.numpy.stack(x), *[self.initial()] * self.allies)
        rows, over = [], False
        while not over:
            key, step_key, play_key = jax.random.split(key, 3)
            row = {name + "_before": value for name, value in {**self.of_state(state), **self.sights(state)}.items()}
            row["unit_type"], row["step"] = state.state.unit_types, state.state.step
            row["enemy_random_target"], row["cooldown_noise"] = self.draws(step_key, state)
            row["ally_action"], policy = self.play(play_key, policy, row["obs_before"], random)
            _, state, reward, done, _ = self.step(step_key, state, {a: row["ally_action"][i] for i, a in enumerate(self.env.agents)})
            row.update({name + "_after": value for name, value in self.of_state(state).items()})
            row["reward"] = jax.numpy.stack([reward[a] for a in self.env.agents])
            row["done"] = jax.numpy.stack([done[a] for a in self.env.agents])
            row["done_all"] = over = bool(done["__all__"])
            attacks, moves = state.state.prev_attack_actions, state.state.prev_movement_actions
            row["enemy_action"] = [self.action(attacks[i], moves[i]) for i in range(self.allies, self.allies + self.enemies)]
            rows.append(jax.device_get(row))
        seen = jax.device_get(self.sights(state))
        return rows, {"last_obs": seen["obs"], "last_ally_mask": seen["ally_mask"], "last_world_state": seen["world_state"]}

    @staticmethod
    def action(attack, move):
        """The action that was decoded into these."""
        if attack >= 5:
            return int(attack)
        x, y = round(float(move[0])), round(float(move[1]))
        return {(0, 1): 0, (1, 0): 1, (0, -1): 2, (-1, 0): 3, (0, 0): 4}[(x, y)]


def record(file, name, episodes, seed):
    import numpy

    scenario = name.split("/")[1]
    recorder = Recorder(scenario)
    group = file.create_group(scenario)
    played = [recorder.episode(seed + e, 0.0 if e % 2 == 0 else 0.3) for e in range(episodes)]
    group.attrs["environment"] = numpy.bytes_("jaxmarl HeuristicEnemySMAX scenario " + scenario)
    for key, value in {"n_allies": recorder.allies, "n_enemies": recorder.enemies, "max_steps": recorder.env.max_steps}.items():
        group.attrs[key] = numpy.int32(value)

    def write(name, rows):
        data = numpy.asarray(rows)
        data = data.astype(numpy.uint8 if data.dtype == bool or "mask" in name else numpy.int32 if data.dtype.kind in "iu" else data.dtype)
        data = data.reshape(data.shape[0], -1) if "obs" in name or "mask" in name else data
        about = DESCRIPTIONS.get(name) or DESCRIPTIONS[name.replace("_before", "").replace("_after", "")]
        group.create_dataset(name, data=data).attrs["description"] = numpy.bytes_(about)

    rows = [row for episode, _ in played for row in episode]
    for key in rows[0]:
        write(key, [row[key] for row in rows])
    for key in played[0][1]:
        write(key, [last[key] for _, last in played])
    write("episode_start", numpy.cumsum([0] + [len(episode) for episode, _ in played]))
