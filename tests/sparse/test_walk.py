"""A walk along penalties: what it visits, keeps and ends with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.sparse.walk import walk

VALUES = np.asarray([5.0, 3.0, 3.0, 4.0, 2.0, 6.0, 7.0, 1.0])


@pytest.mark.parametrize(
    ("patience", "limit", "visited", "best"),
    [(0, 100, 8, 7), (1, 100, 3, 1), (3, 100, 8, 7), (2, 100, 4, 1), (0, 5, 5, 4)],
)
def test_it_ends_with_its_patience_or_its_state(patience, limit, visited, best):
    def visit(at, total):
        return total + 1, jnp.asarray(VALUES)[at], (total * jnp.ones(2), at)

    @jax.jit
    def run():
        kept = (jnp.full((8, 2), -1.0), jnp.full(8, -1, jnp.int32))
        blank = jnp.full(8, jnp.inf)
        return walk(visit, jnp.zeros(()), kept, blank, patience, lambda total: total < limit)

    found = run()
    assert int(found.step) == int(found.state) == visited
    assert int(found.best) == best  # the first of equals
    np.testing.assert_array_equal(found.criterion[:visited], VALUES[:visited])
    assert np.isinf(np.asarray(found.criterion[visited:])).all()
    rows, places = map(np.asarray, found.kept)
    np.testing.assert_array_equal(rows[:visited, 1], np.arange(visited))
    assert (rows[visited:] == -1).all() and (places[visited:] == -1).all()


def test_in_a_batch_each_ends_for_itself():
    def run(values):
        blank = jnp.full(8, jnp.inf)
        return walk(lambda at, s: (s, values[at], ()), jnp.zeros(()), (), blank, 1)

    found = jax.jit(jax.vmap(run))(jnp.asarray([VALUES, VALUES[::-1], np.full(8, np.nan)]))
    np.testing.assert_array_equal(found.step, [3, 2, 2])
    np.testing.assert_array_equal(found.best, [1, 0, 0])
