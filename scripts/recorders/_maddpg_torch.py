"""MADDPG in PyTorch as one would write it who minds speed: for scripts/compare_maddpg.py. The same update as `mappo algo=maddpg` with its
defaults (docs/algorithms.md, the form "port"): of every agent an actor and a critic of all observations and actions, two hidden layers of 64,
Gumbel-softmax straight-through for the own action, most probable actions of the target actors and of the others, gradients clipped to 0.5,
slowly following targets. What does not change between agents is computed once; no gradient is made that nobody uses."""
import torch
from torch import nn

HIDDEN, BATCH, GAMMA, TAU, RATE, CLIP, PENALTY = 64, 1024, 0.95, 0.01, 1e-2, 0.5, 1e-3
EVERY = 100  # steps between two updates
CAPACITY = 1000000


def network(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs))


def most_probable(logits):
    return nn.functional.one_hot(logits.argmax(1), logits.shape[1]).float()


class Agent:
    def __init__(self, obs, choices, seen):
        self.actor, self.critic = network(obs, choices), network(seen, 1)
        self.target_actor, self.target_critic = network(obs, choices), network(seen, 1)
        self.target_actor.load_state_dict(self.actor.state_dict())
        self.target_critic.load_state_dict(self.critic.state_dict())
        self.steps = {net: torch.optim.Adam(net.parameters(), lr=RATE, eps=1e-8) for net in (self.actor, self.critic)}

    def step(self, net, loss):
        weights = list(net.parameters())
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights)):
            weight.grad = gradient
        nn.utils.clip_grad_norm_(weights, CLIP)
        self.steps[net].step()

    @torch.no_grad()
    def follow(self):
        for target, net in ((self.target_actor, self.actor), (self.target_critic, self.critic)):
            torch._foreach_lerp_(list(target.parameters()), list(net.parameters()), TAU)


class Replay:
    """Rings of steps, an array of each agent's, drawn with replacement (drawing without costs more)."""

    def __init__(self, obs, choices, agents, held):
        self.obs, self.next = [[torch.randn(CAPACITY, obs) for _ in range(agents)] for _ in range(2)]
        self.action = [most_probable(torch.randn(CAPACITY, choices)) for _ in range(agents)]
        self.reward = [torch.randn(CAPACITY, 1) for _ in range(agents)]
        self.held, self.place = held, held % CAPACITY

    def add(self, obs, action, reward, seen):
        for i in range(len(self.obs)):
            self.obs[i][self.place], self.next[i][self.place] = obs[i], seen[i]
            self.action[i][self.place], self.reward[i][self.place] = action[i], reward[i]
        self.place = (self.place + 1) % CAPACITY
        self.held = min(self.held + 1, CAPACITY)

    def draw(self):
        rows = torch.randint(self.held, (BATCH,))
        return [[array[rows] for array in arrays] for arrays in (self.obs, self.action, self.reward, self.next)]


class Learner:
    def __init__(self, obs, choices, agents):
        self.agents = [Agent(obs, choices, agents * (obs + choices)) for _ in range(agents)]
        self.replay = Replay(obs, choices, agents, 100000)

    def update(self):
        obs, action, reward, seen = self.replay.draw()
        with torch.no_grad():  # time limits don't end anything, so that every value goes on
            after = torch.cat(seen + [most_probable(agent.target_actor(o)) for agent, o in zip(self.agents, seen)], 1)
            now = [most_probable(agent.actor(o)) for agent, o in zip(self.agents, obs)]
        taken, everything = torch.cat(obs + action, 1), torch.cat(obs, 1)
        for i, agent in enumerate(self.agents):
            with torch.no_grad():
                target = reward[i] + GAMMA * agent.target_critic(after)
            agent.step(agent.critic, nn.functional.mse_loss(agent.critic(taken), target))
            logits = agent.actor(obs[i])
            own = nn.functional.gumbel_softmax(logits, hard=True)
            value = agent.critic(torch.cat([everything] + now[:i] + [own] + now[i + 1 :], 1))
            agent.step(agent.actor, -value.mean() + PENALTY * (logits**2).mean())
            with torch.no_grad():
                now[i] = most_probable(agent.actor(obs[i]))
        for agent in self.agents:
            agent.follow()


class Original:
    """What is measured: play() makes updates alone, or trains in mpe2's simple_spread, and returns how many updates or steps these were."""

    def __init__(self, what, threads):
        import numpy

        torch.set_num_threads(threads)
        torch.manual_seed(1)
        self.versions = {"torch": torch.__version__, "numpy": numpy.__version__}
        self.learner = Learner(18, 5, 3)
        if what == "update":
            self.play = self.updates
        else:
            from importlib.metadata import version

            from mpe2 import simple_spread_v3

            self.versions["mpe2"] = version("mpe2")
            self.env = simple_spread_v3.parallel_env()
            self.obs = self.reset()
            self.play = self.train
        self.play()

    def updates(self):
        for _ in range(10):
            self.learner.update()
        return 10

    def reset(self):
        return [torch.from_numpy(o) for o in self.env.reset()[0].values()]

    def train(self):
        for _ in range(EVERY):
            with torch.no_grad():
                action = [nn.functional.gumbel_softmax(a.actor(o[None]), hard=True)[0] for a, o in zip(self.learner.agents, self.obs)]
            names = list(self.env.agents)
            seen, reward, _, _, _ = self.env.step({name: int(a.argmax()) for name, a in zip(names, action)})
            seen = [torch.from_numpy(seen[name]) for name in names]
            self.learner.replay.add(self.obs, action, [float(reward[name]) for name in names], seen)
            self.obs = seen if self.env.agents else self.reset()
        self.learner.update()
        return EVERY
