"""The exposure path and the outcome path in whitened coordinates, and the angle between them."""

import dataclasses

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.validation import is_traced
from jaxmed.door import at_the_door
from jaxmed.geometry.dual_paths import dual_paths
from jaxmed.geometry.path_vectors import Paths
from jaxmed.geometry.primal_paths import primal_paths
from jaxmed.statistics.cross_moments import UNNAMED, CrossMoments, cross_moments, is_host
from jaxmed.statistics.dual_stats import DualStatistics, dual_statistics
from jaxmed.statistics.joint_factor import JointFactor, factor_moments, factor_rows
from jaxmed.typing import Regime

__all__ = [
    "Paths",
    "dual_paths",
    "needs_rows",
    "paths",
    "primal",
    "primal_paths",
    "regime_of",
]

# What a Gram matrix says that the rows know better, as does a dependent mediator.
UNSURE = (st.ILL_CONDITIONED, st.RANK_DEFICIENT, st.DEGENERATE_EXPOSURE, st.CONSTANT_OUTCOME)


def regime_of(num_rows: int, num_mediators: int, num_covariates: int) -> Regime:
    """Primal iff p <= n - 2 - q: the rank of the residualised mediators is min(p, n-2-q)."""
    return "primal" if num_mediators <= num_rows - 2 - num_covariates else "dual"


def paths(data: MediationData | CrossMoments, *, route: str = "auto") -> Paths:
    """The two path vectors of one data set, by the regime that its shape dictates.

    Args:
      data: rows, or their moments (primal only).
      route: "gram" (one Cholesky factorisation of the moments), "qr" (of the rows; primal only),
        or "auto": Gram, then QR where the estimated condition number says that the Gram matrix is
        unreliable. The choice needs a concrete number, so that under jit "auto" is "gram" with
        status ILL_CONDITIONED where QR would have been taken. In the dual there is one route.
    Returns:
      Paths; fatal trouble is NaN with the reason in `status`. Linearly dependent mediators are
      computed on their span in the primal (note SPAN_ONLY, r their rank); `total_effect` exists
      wherever exposure, outcome and covariates allow it.
    Raises:
      ValueError: moments with p > n-2-q (from a concrete count), or an unknown route.
    Source: He (2026) eqs. 6-9, 21-23, with rank n-2-q instead of n-1 in the dual. Exact algebra.
    """
    check_route(route)
    if isinstance(data, CrossMoments):
        _require_primal(data)
        return _from_moments(dataclasses.replace(data, names=UNNAMED))[1]
    n, p = data.mediators.shape
    if regime_of(n, p, data.covariates.shape[1]) == "dual":
        if is_host(data):  # NumPy's BLAS is faster than a program
            return _from_kernel(dual_statistics(data))
        return _dual(dataclasses.replace(data, names=UNNAMED))
    return primal(data, route)[1]


def check_route(route: str) -> None:
    """Refuse a route that `paths` does not know.

    Raises:
      ValueError: it is none of "auto", "gram" and "qr".
    """
    if route not in ("auto", "gram", "qr"):
        raise ValueError(f'route must be "auto", "gram" or "qr", not {route!r}')


def primal(data: MediationData, route: str = "auto") -> tuple[JointFactor, Paths]:
    """Joint factor and paths of primal data, by the Gram or the QR route; see `paths`."""
    data = dataclasses.replace(data, names=UNNAMED)  # names are static: new ones recompile
    if route == "qr":
        # NumPy's decomposition for its arrays, as for moments and kernel.
        return _from_factor(factor_rows(data)) if is_host(data) else _from_rows(data)
    factor, result = _from_moments(cross_moments(data)) if is_host(data) else _gram(data)
    if route == "auto" and needs_rows(result):
        return primal(data, "qr")
    return factor, result


@at_the_door()
def _from_moments(moments: CrossMoments) -> tuple[JointFactor, Paths]:
    factor = factor_moments(moments)
    return factor, primal_paths(factor)


@at_the_door()
def _gram(data: MediationData) -> tuple[JointFactor, Paths]:
    factor = factor_moments(cross_moments(data))
    return factor, primal_paths(factor)


@at_the_door()
def _from_factor(factor: JointFactor) -> tuple[JointFactor, Paths]:
    return factor, primal_paths(factor)


@at_the_door()
def _from_rows(data: MediationData) -> tuple[JointFactor, Paths]:
    factor = factor_rows(data)
    return factor, primal_paths(factor)


@at_the_door()
def _from_kernel(statistics: DualStatistics) -> Paths:
    return dual_paths(statistics)


@at_the_door()
def _dual(data: MediationData) -> Paths:
    return dual_paths(dual_statistics(data))


def needs_rows(result: Paths) -> bool:
    """True where a concrete Gram result is too near to dependence for its precision."""
    if is_traced(result.status):
        return False
    return result.route == "gram" and (
        int(result.status) in UNSURE or bool(int(result.quadratics.notes) & st.Note.SPAN_ONLY)
    )


def _require_primal(moments: CrossMoments) -> None:
    p, q = moments.num_mediators, moments.num_covariates
    if is_traced(moments.count):
        return  # primal_paths answers with status TOO_FEW_ROWS
    count = int(moments.count)
    if p > count - 2 - q:
        raise ValueError(
            f"moments determine the paths only while p <= n - 2 - q, here {p} > {count} - 2 - {q}: "
            "pass the MediationData (the dual needs the rows), or fewer mediators"
        )
