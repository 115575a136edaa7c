"""One program for every test of what the exact law says: the law is slow to compile."""

import jax
import numpy as np
from optimised import jit_for_many

from jaxmed import inference
from jaxmed.distributions.exact_law import law, sample_quadratics

COUNT, REPLICATES = 40, 200
sample = jit_for_many(lambda key, law: sample_quadratics(key, law, COUNT))


def population(k_a, k_y, c0, n=60, p=20, **more):
    """A law whose numbers are arrays: other numbers are the same program."""
    numbers = {"exposure_ss": n, "residual_df": n - 2, "num_mediators": p} | more
    return law(*map(np.float64, (k_a, k_y, c0)), **{k: np.float64(v) for k, v in numbers.items()})


@jax.jit  # a few data sets: optimising the program would cost more than it saves
def _by_law(keys, draws):
    def one(args):
        key, q = args
        test = inference.total_indirect_test(q, key=key, replicates=REPLICATES)
        return test, inference.indirect_intervals(key, q, replicates=REPLICATES)

    return jax.lax.map(one, (keys, draws), batch_size=20)


def by_law(key, draws):
    """Test and intervals of `COUNT` data sets, each by its own draws, on the host."""
    return jax.tree.map(np.asarray, _by_law(jax.random.split(key, COUNT), draws))


def one_of(key, q):
    """The intervals of one data set by the same program."""
    batch = jax.tree.map(lambda leaf: np.broadcast_to(np.asarray(leaf), (COUNT,)), q)
    return jax.tree.map(lambda leaf: leaf[0], by_law(key, batch)[1])
