"""Which columns make a problem singular, by name."""

import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.analysis.fit import Fit
from jaxmed.data.mediation_data import MediationData
from jaxmed.statistics.joint_factor import factor_rows, rounding

SHOWN = 8


def dependent_columns(data: MediationData, result: Fit) -> list[str]:
    """One sentence naming the mediators that are linear combinations of earlier columns.

    Empty unless the paths failed with RANK_DEFICIENT in the primal. A column's pivot in R of the
    QR decomposition is its distance from the columns before it.
    """
    if int(result.paths.status) != st.RANK_DEFICIENT:
        return []
    if result.paths.regime == "dual":
        return ["rows or covariates are linearly dependent: look for repeated rows or covariates"]
    factor = factor_rows(data)
    q = factor.num_covariates
    pivots = np.abs(np.asarray(jnp.diagonal(factor.upper)))[q + 1 : -1]
    dependent = np.flatnonzero(~(pivots > 1e4 * rounding(factor.upper.dtype)))
    names = [data.names.mediators[j] for j in dependent]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return [
        "linear combinations of earlier columns (covariates, exposure, mediators): "
        f"{', '.join(names[:SHOWN])}{more}; drop them and run again"
    ]
