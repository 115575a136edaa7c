"""Where a program makes a NaN: each of its operations is watched, also inside loops.

`jax_debug_nans` is of no use here. Under jit it looks at the results only, so that a NaN which is
made and masked passes; operation by operation it stops at every NaN that is written down, such as
the standard errors of a method that has none.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

# Operations that run the program they hold, once.
CALLS = {
    "jit",
    "pjit",
    "closed_call",
    "core_call",
    "custom_jvp_call",
    "custom_vjp_call",
    "checkpoint",
}
LOOPS = {"while", "scan", "cond"}
# Operations that have a NaN only where an argument has one, left out to keep the program small.
HARMLESS = {
    "abs",
    "broadcast_in_dim",
    "concatenate",
    "convert_element_type",
    "copy",
    "dynamic_slice",
    "dynamic_update_slice",
    "exp",
    "iota",
    "max",
    "min",
    "neg",
    "pad",
    "reduce_max",
    "reduce_min",
    "reshape",
    "rev",
    "scatter",
    "select_n",
    "sign",
    "slice",
    "sort",
    "split",
    "squeeze",
    "stop_gradient",
    "tanh",
    "transpose",
}


def makers(function: Callable[..., Any], *arguments: Any) -> list[str]:
    """Operations of a function that give a NaN though no argument of theirs has one.

    Args:
      function: of pytrees of arrays, traced anew.
      arguments: what it is called with.
    Returns:
      Name and line of each such operation, in the order of the program. What decides about a loop,
      and what a foreign call does inside, is not seen.
    """
    program = jax.make_jaxpr(lambda *given: function(*given))(*arguments)
    flags = jax.jit(lambda leaves: _run(program, leaves)[1])(jax.tree.leaves(arguments))
    pairs = zip(_sites(program), np.asarray(flags), strict=True)
    return list(dict.fromkeys(_place(site) for site, flag in pairs if flag))


def _sites(program: core.ClosedJaxpr) -> list[Any]:
    """The watched operations, in the order of the flags of `_run`."""
    found = []
    for operation in program.jaxpr.eqns:
        held = _held(operation)
        if held:
            found.extend(site for part in held for site in _sites(part))
        elif _can_make_nan(operation):
            found.append(operation)
    return found


def _held(operation: Any) -> Sequence[core.ClosedJaxpr]:
    """The programs inside an operation that are watched as well."""
    name, given = operation.primitive.name, operation.params
    if name == "while":
        return (given["body_jaxpr"],)
    if name == "cond":
        return given["branches"]
    if name == "scan" or name in CALLS:
        inside = next(given[key] for key in ("jaxpr", "call_jaxpr") if key in given)
        closed = isinstance(inside, core.ClosedJaxpr)
        return (inside if closed else core.ClosedJaxpr(inside, ()),)
    return ()


def _can_make_nan(operation: Any) -> bool:
    results = any(jnp.issubdtype(out.aval.dtype, jnp.inexact) for out in operation.outvars)
    return results and operation.primitive.name not in HARMLESS | LOOPS | CALLS


def _run(program: core.ClosedJaxpr, arguments: Sequence[Any]) -> tuple[list[Any], jax.Array]:
    """Results of a program, and for each watched operation whether it made a NaN."""
    jaxpr: Any = program.jaxpr
    values = dict(zip(jaxpr.constvars, program.consts, strict=True))
    values.update(zip(jaxpr.invars, arguments, strict=True))

    def read(variable: Any) -> Any:
        if not isinstance(variable, core.Literal):
            return values[variable]
        kind: Any = variable.aval
        return jnp.asarray(variable.val, kind.dtype)

    marks: dict[Any, jax.Array] = {}

    def has_nan(variable: Any) -> jax.Array:
        if isinstance(variable, core.Literal):
            return jnp.asarray(_has_nan(np.asarray(variable.val)))
        if variable not in marks:
            marks[variable] = _has_nan(values[variable])
        return marks[variable]

    flags = [jnp.zeros(0, bool)]
    for operation in jaxpr.eqns:
        found, made = _apply(operation, [read(variable) for variable in operation.invars])
        values.update(zip(operation.outvars, found, strict=True))
        if _can_make_nan(operation):
            before = functools.reduce(
                jnp.logical_or, map(has_nan, operation.invars), jnp.zeros((), bool)
            )
            after = functools.reduce(jnp.logical_or, map(has_nan, operation.outvars))
            made = (after & ~before)[None]
        flags.append(made)
    return [read(variable) for variable in jaxpr.outvars], jnp.concatenate(flags)


def _apply(operation: Any, given: list[Any]) -> tuple[list[Any], jax.Array]:
    """Results of one operation, and the flags of the programs inside it."""
    name = operation.primitive.name
    if name in CALLS:
        return _run(_held(operation)[0], given)
    if name in LOOPS:
        return {"while": _while, "scan": _scan, "cond": _cond}[name](operation, given)
    settings = operation.primitive.get_bind_params(operation.params)
    found = operation.primitive.bind(*given, **settings)
    found = list(found) if operation.primitive.multiple_results else [found]
    return found, jnp.zeros(0, bool)


def _while(operation: Any, given: list[Any]) -> tuple[list[Any], jax.Array]:
    settings, (body,) = operation.params, _held(operation)
    first = settings["cond_nconsts"]
    last = first + settings["body_nconsts"]
    go_on = core.jaxpr_as_fun(settings["cond_jaxpr"])

    def step(carry: tuple[list[Any], jax.Array]) -> tuple[list[Any], jax.Array]:
        found, made = _run(body, [*given[first:last], *carry[0]])
        return found, carry[1] | made

    return jax.lax.while_loop(
        lambda carry: go_on(*given[:first], *carry[0])[0], step, (given[last:], _none_of(body))
    )


def _scan(operation: Any, given: list[Any]) -> tuple[list[Any], jax.Array]:
    settings, (body,) = operation.params, _held(operation)
    first = settings["num_consts"]
    carried = settings["num_carry"]

    def step(carry: tuple[list[Any], jax.Array], each: list[Any]) -> tuple[Any, list[Any]]:
        found, made = _run(body, [*given[:first], *carry[0], *each])
        return (found[:carried], carry[1] | made), found[carried:]

    (last, flags), stacked = jax.lax.scan(
        step,
        (given[first : first + carried], _none_of(body)),
        given[first + carried :],
        length=settings["length"],
        reverse=settings["reverse"],
    )
    return [*last, *stacked], flags


def _cond(operation: Any, given: list[Any]) -> tuple[list[Any], jax.Array]:
    branches = _held(operation)

    def flagged(chosen: int) -> Callable[..., tuple[list[Any], jax.Array]]:
        def branch(*operands: Any) -> tuple[list[Any], jax.Array]:
            found, made = _run(branches[chosen], operands)
            flags = [made if i == chosen else _none_of(other) for i, other in enumerate(branches)]
            return found, jnp.concatenate(flags)

        return branch

    return jax.lax.switch(given[0], [flagged(i) for i in range(len(branches))], *given[1:])


def _none_of(program: core.ClosedJaxpr) -> jax.Array:
    return jnp.zeros(len(_sites(program)), bool)


def _has_nan(value: Any) -> jax.Array:
    if jnp.issubdtype(value.dtype, jnp.inexact):
        return jnp.any(jnp.isnan(value))
    return jnp.zeros((), bool)


def _place(operation: Any) -> str:
    """An operation's name, and the innermost line of it that is not JAX's own."""
    trace = operation.source_info.traceback
    frames = [] if trace is None else trace.frames
    for frame in frames:
        if "/jax/" not in frame.file_name.replace("\\", "/"):
            return f"{operation.primitive.name} ({frame.file_name}:{frame.line_num})"
    return operation.primitive.name
