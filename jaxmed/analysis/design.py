"""The covariates of one analysis: a basis chosen once, checked for room, used by everything."""

import dataclasses
from typing import Any

import numpy as np

from jaxmed.analysis.inputs import checked
from jaxmed.analysis.user_warnings import warn_user
from jaxmed.data.basis_columns import Basis
from jaxmed.data.covariate_basis import (
    CovariateBasis,
    basis_name,
    check_basis_choice,
    covariate_basis,
)
from jaxmed.data.covariate_sentence import covariate_sentence
from jaxmed.data.independent_columns import KEPT, left_out
from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.data.no_variation import check_basis_leaves
from jaxmed.data.validation import ShapeError

__all__ = ["Basis", "Design", "check_linear", "designed", "linear_only"]


@dataclasses.dataclass(frozen=True)
class Design:
    """Validated data and the basis of its covariates.

    Attributes:
      given: as given, every mediator and covariate.
      chosen: the basis.
      asked: what was asked for, as it goes into a record.
      linear: the basis "linear" of the same data.
    """

    given: MediationData
    chosen: CovariateBasis
    asked: str
    linear: CovariateBasis

    @property
    def data(self) -> MediationData:
        """The data with the columns of the basis as covariates: what every model runs on."""
        return self.chosen.data

    @property
    def richer(self) -> bool:
        """True where the basis is more than the covariates as they are."""
        return any(kind != "linear" for kind in self.chosen.kinds)


def designed(data: MediationData, basis: Basis) -> Design:
    """Checked data on a basis of its covariates; a warning for every covariate left out.

    Raises:
      ValueError: an unknown basis.
      InvalidDataError, ShapeError: as `mediation_data`; InvalidDataError also where the basis
        leaves nothing of exposure or outcome; ShapeError where it leaves no degree of freedom, or
        too few for the mediators that linear covariates have room for.
    """
    check_basis_choice(basis)
    given = checked(data)
    chosen = covariate_basis(given, basis)
    plain = all(kind == "linear" for kind in chosen.kinds)
    linear = chosen if plain else covariate_basis(given, "linear")
    _check_room(given, chosen.rank, linear.rank)
    check_basis_leaves(chosen, linear)
    for sentence in chosen.warnings:
        warn_user(sentence)
    return Design(given, chosen, basis_name(basis), linear)


def _check_room(data: MediationData, rank: int, linear: int) -> None:
    """Refuses covariates that leave no room, with the basis that does."""
    n, p = data.mediators.shape
    left, linear_left = n - 1 - rank, n - 1 - linear
    if linear_left < 1:
        raise ShapeError(
            f"{n} rows are too few for {p} mediators and {linear} covariate columns, the intercept "
            f"included: they leave no degree of freedom; at least {linear + 2} rows are needed, or "
            "fewer covariates"
        )
    if left < 1 or (left <= p < linear_left):
        raise ShapeError(
            f"{n} rows are too few for {p} mediators and {rank} covariate columns, the intercept "
            f"included; with linear covariates there are {linear}: choose "
            'basis="linear", or fewer covariates'
        )


def check_linear(basis: Basis, source: str) -> None:
    """Refuses a basis that needs rows.

    Args:
      basis: asked for: "auto" and "linear" are linear.
      source: what there is instead of rows.
    Raises:
      ValueError: another basis.
    """
    check_basis_choice(basis)
    if basis not in ("auto", "linear"):
        raise ValueError(
            f"{source} take covariates as they are: squares and products need centres of all rows "
            'first. Choose basis="linear", or read the table into memory for '
            f'basis="{basis_name(basis)}"'
        )


def linear_only(
    names: Names, rows: int, basis: Basis, source: str, codes: np.ndarray
) -> dict[str, Any]:
    """The `design` block where rows are not at hand together: covariates as they are.

    Args:
      names: of the columns.
      rows: their number.
      basis: asked for: "auto" and "linear" are linear.
      source: what there is instead of rows, for the refusal.
      codes: [q], see `data.independent_columns`: what is not kept is left out, with a warning.
    Raises:
      ValueError: another basis.
    """
    check_linear(basis, source)
    pairs = list(zip(names.covariates, codes, strict=True))
    dropped = {name: left_out(name, int(code)) for name, code in pairs if code != KEPT}
    for sentence in dropped.values():
        warn_user(sentence)
    kept = [j for j, code in enumerate(codes) if code == KEPT]
    chosen_by = "auto" if basis == "auto" else "request"
    sentence = covariate_sentence(
        names.covariates,
        names.groups,
        [(j,) for j in kept],
        ["linear"] * len(kept),
        list(dropped),
        1 + len(kept),
        "linear",
        chosen_by,
        rows,
    )
    return {
        "basis": "linear",
        "chosen_by": chosen_by,
        "rank": 1 + len(kept),
        "columns": [names.covariates[j] for j in kept],
        "dropped": dropped,
        "rows": rows,
        "sentence": sentence,
        "linear": None,
        "matters": None,
    }
