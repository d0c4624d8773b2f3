"""A file with two environments, so that one must be named."""
from own_envs import Counter


class One(Counter):
    pass


class Two(Counter):
    pass
