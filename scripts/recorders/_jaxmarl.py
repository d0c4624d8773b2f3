"""What the suites of JaxMARL share."""


def versions():
    from importlib.metadata import version

    return {"jaxmarl": version("jaxmarl"), "jax": version("jax")}
