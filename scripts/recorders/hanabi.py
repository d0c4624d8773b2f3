"""Records JaxMARL's Hanabi: a group a number of players, in the layout that tests/parity/env_hanabi.h reads.

Players see their own hands: in every other game they play what fits and never what does not, so that the deck runs out; in the others a
third of the moves are drawn."""

from recorders._jaxmarl import versions  # noqa: F401

NAMES = ["hanabi/2p", "hanabi/3p", "hanabi/4p", "hanabi/5p", "hanabi/small", "hanabi/very_small"]
SMALL = {"num_agents": 2, "hand_size": 2, "max_info_tokens": 3, "max_life_tokens": 1}
SEEN = 11  # observations are kept after every SEEN-th turn and after the last

DESCRIPTIONS = {
    "player": "player on turn",
    "action": "its action: hand_size discards, hand_size plays, colours told to the next player and so on, ranks likewise, nothing",
    "legal_before": "each player's legal moves before the turn",
    "cards_dealt_after": "cards that have left the deck",
    "colour_revealed_after": "flag, colour told; players, cards, colours",
    "rank_revealed_after": "flag, rank told; players, cards, ranks",
    "current_player_after": "player on turn next",
    "discards_after": "discarded cards of each kind, ranks * colour + rank",
    "fireworks_after": "height of each colour",
    "hands_after": "kind of each card, -1 = none; oldest first",
    "info_tokens_after": "tokens",
    "life_tokens_after": "lives",
    "knowledge_after": "flag, kind still possible; players, cards, kinds",
    "last_round_count_after": "turns since the deck ran out",
    "score_after": "sum of rewards",
    "reward": "of the turn, a number for each player",
    "done": "flag",
    "obs": "observations of all players, one after the other, after turn obs_row",
    "obs_row": "turns whose observation is kept",
    "first_obs": "[games] observations at the start",
    "deck": "[games] colour, rank of every card, as dealt",
    "episode_start": "[games + 1] row of the first turn of each game, and the number of rows",
}


class Recorder:
    def __init__(self, name):
        import jax
        import numpy
        from jaxmarl.environments.hanabi.hanabi import HanabiEnv

        small = {"small": dict(SMALL, num_colors=2), "very_small": dict(SMALL, num_colors=1)}
        self.jax, self.numpy = jax, numpy
        self.env = HanabiEnv(**small.get(name, {"num_agents": int(name[0]) if name[0].isdigit() else 2}))
        self.reset, self.step = jax.jit(self.env.reset_from_deck_of_pairs), jax.jit(self.env.step_env)
        self.legal = jax.jit(self.env.get_legal_moves)

    def of_state(self, state):
        numpy, env = self.numpy, self.env
        hands = numpy.asarray(state.player_hands).reshape(env.num_agents, env.hand_size, -1)
        return {
            "cards_dealt_after": int(state.num_cards_dealt),
            "colour_revealed_after": numpy.asarray(state.colors_revealed),
            "rank_revealed_after": numpy.asarray(state.ranks_revealed),
            "current_player_after": int(numpy.argmax(state.cur_player_idx)),
            "discards_after": numpy.asarray(state.discard_pile).sum(axis=0).ravel(),
            "fireworks_after": numpy.asarray(state.fireworks).sum(axis=1),
            "hands_after": numpy.where(hands.any(axis=2), hands.argmax(axis=2), -1),
            "info_tokens_after": int(numpy.sum(state.info_tokens)),
            "life_tokens_after": int(numpy.sum(state.life_tokens)),
            "knowledge_after": numpy.asarray(state.card_knowledge),
            "last_round_count_after": int(state.last_round_count),
            "score_after": int(state.score),
        }

    def choose(self, draw, state, player, legal, random):
        """A legal move: what fits, else anything but a card that does not fit."""
        numpy, env = self.numpy, self.env
        moves = numpy.flatnonzero(legal)
        if draw.random() < random:
            return int(draw.choice(moves))
        heights = numpy.asarray(state.fireworks).sum(axis=1)
        hand = numpy.asarray(state.player_hands)[player]
        plays = [k + env.hand_size for k in range(env.hand_size) if hand[k].any()]
        fits = [k for k in plays if heights[hand[k - env.hand_size].any(axis=1).argmax()] == hand[k - env.hand_size].any(axis=0).argmax()]
        others = [k for k in moves if k not in plays]
        return int(draw.choice(fits or others or moves))

    def views(self, obs):
        return self.numpy.concatenate([self.numpy.asarray(obs[a], dtype=self.numpy.float32).ravel() for a in self.env.agents])

    def game(self, seed, random):
        numpy, env = self.numpy, self.env
        draw = numpy.random.default_rng(seed)
        pairs = [(c, r) for c in range(env.num_colors) for r in range(env.num_ranks) for _ in range(int(env.num_cards_of_rank[r]))]
        deck = draw.permutation(numpy.array(pairs))
        obs, state = self.reset(self.jax.numpy.asarray(deck))
        first, rows, seen, done = self.views(obs), [], [], False
        while not done:
            player = int(numpy.argmax(state.cur_player_idx))
            legal = numpy.stack([numpy.asarray(self.legal(state)[a]) for a in env.agents])
            action = self.choose(draw, state, player, legal[player], random)
            actions = {a: action if i == player else env.num_moves - 1 for i, a in enumerate(env.agents)}
            obs, state, reward, dones, _ = self.step(self.jax.random.PRNGKey(0), state, actions)
            row = {"player": player, "action": action, "legal_before": legal, "reward": [float(reward[a]) for a in env.agents]}
            row["done"] = done = bool(dones["__all__"])
            rows.append(dict(row, **self.of_state(state)))
            seen.append(self.views(obs))
        return rows, first, seen, deck


def record(file, name, episodes, seed):
    import numpy

    recorder = Recorder(name.split("/")[1])
    env = recorder.env
    group = file.create_group(name.replace("/", "_"))
    played = [recorder.game(seed + e, 0.0 if e % 2 == 0 else 0.33) for e in range(episodes)]
    group.attrs["environment"] = numpy.bytes_("jaxmarl HanabiEnv")
    numbers = {"n_players": env.num_agents, "colors": env.num_colors, "ranks": env.num_ranks, "hand_size": env.hand_size, "obs_dim": env.obs_size,
               "max_info_tokens": env.max_info_tokens, "max_life_tokens": env.max_life_tokens, "n_actions": env.num_moves}
    for key, value in numbers.items():
        group.attrs[key] = numpy.int32(value)

    def write(name, data, kind):
        group.create_dataset(name, data=numpy.asarray(data).astype(kind)).attrs["description"] = numpy.bytes_(DESCRIPTIONS[name])

    rows = [row for turns, _, _, _ in played for row in turns]
    views = [view for _, _, seen, _ in played for view in seen]
    kept = [row for row in range(len(rows)) if row % SEEN == 0 or rows[row]["done"]]
    flags = ("colour", "rank", "knowledge", "legal", "done")
    for key in rows[0]:
        write(key, [row[key] for row in rows], "f8" if key == "reward" else "u1" if key.startswith(flags) else "i4")
    write("obs", [views[row] for row in kept], "f4")
    write("obs_row", kept, "i8")
    write("first_obs", [first for _, first, _, _ in played], "f4")
    write("deck", [deck for _, _, _, deck in played], "i4")
    write("episode_start", numpy.cumsum([0] + [len(turns) for turns, _, _, _ in played]), "i8")
