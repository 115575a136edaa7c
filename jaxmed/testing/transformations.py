"""Checks of an estimator under JAX's transformations: none changes an answer."""

import dataclasses
import warnings

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jaxmed.estimators.estimate import Estimate
from jaxmed.testing.subject import NotApplicableError, Subject, assert_close
from jaxmed.typing import Array


def eager(subject: Subject) -> None:
    """Operation by operation as compiled, of JAX's arrays and of NumPy's."""
    columns = {"JAX": subject.data, "NumPy": jax.tree.map(np.asarray, subject.data)}
    for library, data in columns.items():
        found = jax.tree.map(jnp.asarray, subject.estimator(subject.key, data))
        assert_close(found, subject.estimate, f"without jit, of {library} arrays")


def vmap(subject: Subject) -> None:
    """Two data sets at once as one after the other."""
    found = jax.jit(jax.vmap(subject.estimator, in_axes=(None, 0)))(subject.key, subject.twice)
    expected = jax.tree.map(lambda *leaves: jnp.stack(leaves), *subject.one_by_one)
    assert_close(found, expected, "two data sets by vmap")


def gradient(subject: Subject) -> None:
    """Finite derivatives of the indirect effect, where the estimator is said to have them."""
    if not subject.differentiable:
        raise NotApplicableError("differentiable=False")
    _ = subject.estimate

    def indirect(mediators: Array, outcome: Array) -> Array:
        data = dataclasses.replace(subject.data, mediators=mediators, outcome=outcome)
        return subject.estimator(subject.key, data).effects.indirect

    slopes = jax.jit(jax.grad(indirect, argnums=(0, 1)))(
        subject.data.mediators, subject.data.outcome
    )
    for name, slope in zip(("mediators", "outcome"), slopes, strict=True):
        assert bool(jnp.all(jnp.isfinite(slope))), f"no finite derivative in the {name}"
        assert bool(jnp.any(slope != 0)), f"every derivative in the {name} is zero"


def shard_map(subject: Subject) -> None:
    """One data set to each of two devices of a mesh, as alone."""
    if len(jax.devices()) == 1:
        raise NotApplicableError("there is one device")
    mesh = Mesh(np.array(jax.devices()[:2]), ("replicates",))
    each = PartitionSpec("replicates")
    program = jax.shard_map(
        jax.vmap(subject.estimator, in_axes=(None, 0)),
        mesh=mesh,
        in_specs=(PartitionSpec(), each),
        out_specs=each,
        check_vma=False,
    )
    found = jax.jit(program)(subject.key, subject.twice)
    for i, expected in enumerate(subject.one_by_one):
        shard = jax.tree.map(lambda leaf, i=i: leaf[i], found)
        assert_close(shard, expected, f"data set {i} of two by shard_map")


def export(subject: Subject) -> None:
    """Written by `jax.export`, read back and called."""
    columns, tree = jax.tree.flatten(subject.data)
    implementation = str(jax.random.key_impl(subject.key))

    def flat(bits: Array, *columns: Array) -> list[Array]:
        key = jax.random.wrap_key_data(bits, impl=implementation)
        return jax.tree.leaves(subject.estimator(key, jax.tree.unflatten(tree, columns)))

    given = (jax.random.key_data(subject.key), *columns)
    written = jax.export.export(jax.jit(flat))(*given).serialize()
    found = jax.export.deserialize(written).call(*given)
    assert_close(list(found), jax.tree.leaves(subject.estimate), "written and read back")


def donated(subject: Subject) -> None:
    """With the buffers of the data given away: no column is read after it was overwritten."""
    copy = jax.tree.map(jnp.copy, subject.data)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Some donated buffers were not usable")
        found: Estimate = jax.jit(subject.estimator, donate_argnums=1)(subject.key, copy)
    jax.tree.map(np.asarray, found)
    assert_close(found, subject.estimate, "with donated columns")
