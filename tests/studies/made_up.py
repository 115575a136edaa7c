"""Results of a study's cells from made-up columns: tasks are traced, and nothing is compiled."""

import functools

import jax
import numpy as np

from jaxmed.sweeps import BlockTask

COUNT = 400


@functools.cache
def columns_of(task, structure, shapes):
    """Names of a task's scores, from its trace."""
    parameters = jax.tree.unflatten(structure, shapes)
    key = jax.eval_shape(lambda: jax.random.key(0))
    if isinstance(task, BlockTask):
        traced = jax.eval_shape(lambda k, v: task.draw(k, v, COUNT), key, parameters)
        assert all(value.shape == (COUNT,) for value in traced.values())
    else:
        traced = jax.eval_shape(task, key, parameters)
        assert all(value.shape == () for value in traced.values())
    return tuple(traced)


def columns(cell):
    """Names of the scores that a cell's task returns."""
    leaves, structure = jax.tree.flatten(cell.parameters)
    shapes = (jax.ShapeDtypeStruct(np.shape(leaf), np.asarray(leaf).dtype) for leaf in leaves)
    return columns_of(cell.task, structure, tuple(shapes))


def results(cells, seed=0):
    """What the reducers make of p-values that are uniform and statistics that are normal."""
    rng = np.random.default_rng(seed)

    def values(name):
        if name.rpartition("/")[2] == "status":
            return np.zeros(COUNT, np.int32)
        uniform = name.endswith("p_value") or name in ("exact", "printed")
        drawn = rng.uniform(size=COUNT) if uniform else rng.normal(size=COUNT)
        return drawn**2 if name.endswith("square") else drawn

    return {
        cell.name: cell.reducer.finish(
            cell.reducer.lift({name: values(name) for name in columns(cell)})
        )
        for cell in cells
    }
