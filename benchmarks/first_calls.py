"""Python sessions that `first_use` times: each is run as a program, by the jaxmed of its path.

Only names that every version of jaxmed has; nothing of this package, which would come from another
checkout. The last line printed holds CPU seconds, as JSON.
"""

import json
import sys
import time
from collections.abc import Callable


def seconds(call: Callable[[], object]) -> float:
    """CPU seconds of a call, all threads of this process."""
    start = time.process_time()
    call()
    return time.process_time() - start


def proteome():
    """The table of `jaxmed demo`: 517 proteins, more than patients."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from jaxmed import datasets, from_frame

    return from_frame(
        datasets.load("covid_plasma_proteome"),
        exposure="age",
        outcome="hospital_free_days_45",
        mediators="prot_*",
        covariates=("male",),
        where="covid == 1",
    )


def compare() -> dict[str, float]:
    """Two equal calls of `compare`, and one with another key."""
    import jaxmed

    data = proteome()

    def call(key: int) -> object:
        return jaxmed.compare(data, ("hima",), key=key)

    return {
        "first": seconds(lambda: call(0)),
        "second": seconds(lambda: call(0)),
        "other_key": seconds(lambda: call(1)),
    }


def maxie_eager() -> dict[str, float]:
    """`maxie(paths(data))` as a user types it, twice."""
    import jax

    import jaxmed

    data = jax.block_until_ready(jax.device_put(proteome()))

    def call() -> object:
        return jax.block_until_ready(jaxmed.maxie(jaxmed.paths(data)))

    return {"first": seconds(call), "second": seconds(call)}


def maxie_jit() -> dict[str, float]:
    """The same as one program of the user's own."""
    import jax

    import jaxmed

    data = jax.block_until_ready(jax.device_put(proteome()))
    program = jax.jit(lambda fields: jaxmed.maxie(jaxmed.paths(fields)))

    def call() -> object:
        return jax.block_until_ready(program(data))

    return {"first": seconds(call), "second": seconds(call)}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]]()))
