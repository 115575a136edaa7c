"""Python sessions that `first_use` times: each is run as a program, by the jaxmed of its path.

Only names that every version of jaxmed has; nothing of this package, which would come from another
checkout. The last line printed holds CPU seconds, and numbers of programs compiled, as JSON.
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
        return jaxmed.compare(data, ("hima",), key=key, bootstrap=200)

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


def _estimand(name: str, *given: object) -> dict[str, float]:
    """An estimand of 500 rows and 20 mediators: programs asked of the compiler, seconds, again."""
    import jax
    import jax.monitoring
    import numpy as np

    from jaxmed import mediation_data

    try:
        from jaxmed import estimands as place
    except ImportError:  # where they were before
        from jaxmed import gahmn as place
    jax.config.update("jax_enable_x64", True)
    asked: list[str] = []

    def note(event: str, duration: float, **what: object) -> None:
        asked.append(event)

    jax.monitoring.register_event_duration_secs_listener(note)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 2))
    t = (rng.random(500) < 0.5).astype(float)
    m = np.outer(t, np.linspace(0, 1, 20)) + rng.normal(size=(500, 20)) + x[:, :1]
    y = t + m[:, :5].sum(axis=1) + x[:, 1] + rng.normal(size=500)
    data, key = mediation_data(t, m, y, x), jax.random.key(0)

    def call() -> object:
        return jax.block_until_ready(getattr(place, name)(key, data, *given, generator=None))

    asked.clear()
    first = seconds(call)
    programs = asked.count("/jax/core/compile/backend_compile_duration")
    return {"programs": programs, "first": first, "second": seconds(call)}


def disparity() -> dict[str, float]:
    """Three sets of mediators."""
    return _estimand("disparity", {"a": [0, 1], "b": [2, 3, 4], "c": [5]})


def chain() -> dict[str, float]:
    """Ten mediators, then ten."""
    return _estimand("chain", range(10))


def policy_value() -> dict[str, float]:
    """Everybody treated."""
    import numpy as np

    return _estimand("policy_value", np.ones(500, bool))


def shift_value() -> dict[str, float]:
    """One mediator moved by one."""
    return _estimand("shift_value", {0: 1.0})


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]]()))
