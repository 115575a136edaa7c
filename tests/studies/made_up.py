"""Cells of a study without their programs: parameters built by one, scores known by their trace."""

import dataclasses
import functools

import jax
import numpy as np

from jaxmed.sweeps import BlockTask

COUNT = 400


def built(cells, wanted=None):
    """Cells by name; the parameters of those wanted (None: all) come from one program.

    Args:
      cells: makes them; run as it stands it compiles one program for each of its operations.
      wanted: names, or None.
    """
    kept = {}

    @jax.jit
    def parameters():
        kept.update({c.name: c for c in cells() if wanted is None or c.name in wanted})
        return {name: cell.parameters for name, cell in kept.items()}

    values = parameters()
    return {name: dataclasses.replace(cell, parameters=values[name]) for name, cell in kept.items()}


def abstract(cells):
    """The cells with shapes in place of parameters; nothing is computed."""
    found = []

    def shape(leaf):
        return jax.ShapeDtypeStruct(np.shape(leaf), np.result_type(leaf))

    def trace():
        for cell in cells():
            shapes = jax.tree.map(shape, cell.parameters)
            found.append(dataclasses.replace(cell, parameters=shapes))

    jax.eval_shape(trace)
    return found


def names(cell):
    """Of the scores that the task of an abstract cell returns, by its trace."""
    leaves, structure = jax.tree.flatten(cell.parameters)
    return _names_of(cell.task, structure, tuple(leaves))


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
            cell.reducer.lift({name: values(name) for name in names(cell)})
        )
        for cell in abstract(cells)
    }


@functools.cache
def _names_of(task, structure, shapes):
    key = jax.eval_shape(lambda: jax.random.key(0))
    parameters = jax.tree.unflatten(structure, shapes)
    if isinstance(task, BlockTask):
        scores = jax.eval_shape(lambda k, v: task.draw(k, v, COUNT), key, parameters)
        assert all(value.shape == (COUNT,) for value in scores.values())
    else:
        scores = jax.eval_shape(task, key, parameters)
        assert all(value.shape == () for value in scores.values())
    return tuple(scores)
