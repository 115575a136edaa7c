"""Numbers of one seed, for comparison between processes: python determinism.py OUT.npz PART ...

`test_determinism.py` runs it with several thread counts. Names end in the chunk where there is one.
"""

import sys
import types
import warnings

import jax
import numpy as np

CHUNKS = (64, 256)
COUNT = 300


def data(rows, columns, seed=0):
    from problems import problem

    return problem(np.random.default_rng(seed), rows, columns, 1, scale=0.0)


def light():
    """What compiles in seconds: draws, a sweep, two resamplings."""
    import jax.numpy as jnp

    import jaxmed
    from jaxmed import simulate
    from jaxmed.sweeps.reducers import combine, moments, rejection_rate, stack

    key, model = jax.random.key(3), simulate.linear_sem([0.3, 0.2, 0.0], [0.3, 0.0, 0.2])
    rows = data(60, 4)

    def task(key, model):
        found = simulate.sample(key, model, 40)
        return {"product": found.mediators[:, 0] @ found.outcome, "draw": found.exposure[0]}

    def weighted(key, found):
        weights = 1.0 if found.weights is None else found.weights
        value = jnp.vdot(weights * found.exposure, found.outcome) + jax.random.normal(key)
        return types.SimpleNamespace(status=jnp.int32(0), value=value)

    def product(found):
        return jnp.vdot(found.exposure, found.mediators[:, 0])

    reducer = combine(mean=moments(), rate=rejection_rate(0.5), all=stack())
    found = {
        "sample": simulate.sample(key, model, 500),
        "law": jaxmed.sample_quadratics(key, simulate.law_of(model, 60), 20_000),
    }
    for chunk in CHUNKS:
        options = {"chunk": chunk}
        swept = jaxmed.sweep(key, task, COUNT, parameters=model, reducer=reducer, **options)
        boot = jaxmed.bootstrap(
            key, rows, weighted, COUNT, statistic=lambda e: {"value": e.value}, **options
        )
        permuted = jaxmed.permutation_test(key, rows, product, COUNT, **options)
        found |= {
            f"sweep draws {chunk}": swept["all"],
            f"sweep reduced {chunk}": [values_of(swept[name]) for name in ("mean", "rate")],
            f"bootstrap {chunk}": [boot.draws, values_of(boot.measures)],
            f"permutation {chunk}": [permuted.draws, permuted.p_value],
        }
    return found


def simulated():
    """Larger models, power, and an interval by draws of the exact law."""
    import jaxmed
    from jaxmed import simulate
    from jaxmed.simulate import biobank

    key, model = jax.random.key(3), simulate.linear_sem([0.3, 0.2, 0.0], [0.3, 0.0, 0.2])
    large = biobank.biobank(key, 200)
    settings = {"exposure_r2": 0.2, "outcome_r2": 0.2, "cosine": 0.4}
    return {
        "power": jaxmed.power(key, 80, 3, **settings, replicates=20_000),
        "moments": simulate.sample_moments(key, model, 500),
        "biobank": biobank.sample_biobank(key, large, 300),
        "dual": jaxmed.dual_total_test(key, data(40, 60, 1), exchangeable_effects=True),
        "interval": jaxmed.indirect_interval(key, jaxmed.paths(data(60, 4)), replicates=2000),
    }


def resampled():
    """Every kind of resampling at each chunk, and the reducers of a study's sweep."""
    import jaxmed
    from jaxmed import estimators
    from jaxmed.simulate import linear_sem, sample
    from jaxmed.sweeps.quantile_sketch import quantiles
    from jaxmed.sweeps.reducers import combine, moments, rejection_rate, stack
    from jaxmed.sweeps.split_sample import held_out_effects
    from jaxmed.sweeps.task import study_task

    key, rows = jax.random.key(4), data(60, 4)
    maxie, model = estimators.maxie(), linear_sem([0.3, 0.2, 0.0], [0.3, 0.0, 0.2])
    task = study_task(lambda k, m: sample(k, m, 40), {"maxie": maxie})
    reducer = combine(
        mean=moments(), rate=rejection_rate(0.5), median=quantiles((0.5,)), all=stack()
    )
    found = {}
    for chunk in CHUNKS:
        options = {"chunk": chunk}
        swept = jaxmed.sweep(key, task, COUNT, parameters=model, reducer=reducer, **options)
        boot = jaxmed.bootstrap(
            key, rows, maxie, COUNT, intervals=("bca",), acceleration=None, **options
        )
        split = jaxmed.split_sample(key, rows, maxie, held_out_effects, COUNT, **options)
        permuted = jaxmed.permutation_test(
            key, rows, lambda d: jaxmed.paths(d).cosine, COUNT, **options
        )
        found |= {
            f"sweep draws {chunk}": swept["all"],
            f"sweep reduced {chunk}": [values_of(swept[name]) for name in ("mean", "rate")],
            f"sweep median {chunk}": values_of(swept["median"]),
            f"bootstrap {chunk}": [boot.draws, values_of(boot.measures)],
            f"split {chunk}": values_of(split.means),
            f"permutation {chunk}": [permuted.draws, permuted.p_value],
        }
    return found


def values_of(summary):
    """The numbers of dataclasses by name, in the order of the names."""
    import dataclasses

    summary = getattr(summary, "values", summary) if not isinstance(summary, dict) else summary
    plain = {
        name: dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value
        for name, value in dict(summary).items()
    }
    return [
        leaf
        for leaf in jax.tree.leaves(plain, is_leaf=dataclasses.is_dataclass)
        if not isinstance(leaf, str)
        for leaf in (dataclasses.astuple(leaf) if dataclasses.is_dataclass(leaf) else [leaf])
    ]


def analysed():
    """The analyses in both regimes, with all that they draw."""
    import jaxmed

    primal, dual = data(120, 6), data(40, 60, 1)
    found = {}
    for name, rows in {"primal": primal, "dual": dual}.items():
        result = jaxmed.mediate(rows, key=5, permutations=99, splits=3, replicates=500)
        found[f"mediate {name}"] = [
            list(result.effects),
            list(result.tests),
            result.record.mediators,
        ]
    found["effects"] = jaxmed.analysis.effects.effects(data(80, 30, 2), key=5).rows
    for chunk in CHUNKS:
        table = jaxmed.compare(primal, ["ols", "maxie"], key=5, bootstrap=COUNT, chunk=chunk).rows
        timed = ("seconds", "bootstrap_seconds")
        found[f"compare {chunk}"] = [
            {name: value for name, value in row.items() if name not in timed} for row in table
        ]
    found["evaluate"] = jaxmed.evaluate(primal, ["maxie", "lasso_exposure"], key=5).rows
    return found


def numbers(value):
    """All numbers of nested lists, dicts and arrays in one float64 array."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(value) if not isinstance(leaf, str)]
    kept = [leaf.astype(np.float64).ravel() for leaf in leaves if leaf.dtype.kind in "biuf"]
    return np.concatenate(kept)


PARTS = {"light": light, "simulated": simulated, "resampled": resampled, "analysed": analysed}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    out, *parts = sys.argv[1:]
    every = {}
    for part in parts:
        every |= PARTS[part]()
    np.savez(out, **{name: numbers(value) for name, value in every.items()})
