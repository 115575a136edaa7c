"""Estimators: configuration in, `(key, data) -> Estimate` out; all safe under jit and vmap."""

import importlib
from typing import Any

from jaxmed.estimators.composites import from_composite, maxcor, maxie, reg_exposure, reg_outcome
from jaxmed.estimators.directions import directions
from jaxmed.estimators.double_selection import double_selection
from jaxmed.estimators.ehima import ehima
from jaxmed.estimators.estimate import Effects, Estimate, MediatorEffects
from jaxmed.estimators.from_weights import WeightDetails, from_weights
from jaxmed.estimators.guo import guo
from jaxmed.estimators.hdma import hdma
from jaxmed.estimators.hilma import hilma
from jaxmed.estimators.hima import hima
from jaxmed.estimators.hima2 import hima2
from jaxmed.estimators.meddic import meddic
from jaxmed.estimators.medfix import medfix
from jaxmed.estimators.numerical import numerical
from jaxmed.estimators.ols import ols
from jaxmed.estimators.oracle import oracle
from jaxmed.estimators.parts.reference import ReferenceWouldStop
from jaxmed.estimators.pathway_lasso import pathway_lasso
from jaxmed.estimators.pcma import pcma
from jaxmed.estimators.penalised import lasso_exposure, lasso_outcome
from jaxmed.estimators.plsem import plsem
from jaxmed.estimators.post_selection import post_selection
from jaxmed.estimators.spcma import spcma

__all__ = [
    "Effects",
    "Estimate",
    "MediatorEffects",
    "ReferenceWouldStop",
    "WeightDetails",
    "directions",
    "double_selection",
    "ehima",
    "from_composite",
    "from_weights",
    "guo",
    "hdma",
    "hilma",
    "hima",
    "hima2",
    "lasso_exposure",
    "lasso_outcome",
    "maxcor",
    "maxie",
    "meddic",
    "medfix",
    "numerical",
    "ols",
    "oracle",
    "pathway_lasso",
    "pcma",
    "plsem",
    "post_selection",
    "reg_exposure",
    "reg_outcome",
    "spcma",
]


def __getattr__(name: str) -> Any:
    """`gahmn`, which brings flax and optax: found only when it is asked for."""
    if name == "gahmn":
        return importlib.import_module("jaxmed.gahmn").gahmn
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
