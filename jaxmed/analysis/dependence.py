"""Which columns make a problem singular, by name."""

import numpy as np

from jaxmed import status as st
from jaxmed.data.mediation_data import Names
from jaxmed.geometry.paths import Paths

SHOWN = 8


def dependent_columns(names: Names, paths: Paths) -> list[str]:
    """One sentence naming the mediators that are linear combinations of earlier columns, or none.

    Args:
      names: of the mediators analysed.
      paths: concrete, of the same mediators.
    """
    if paths.regime == "dual":
        if int(paths.status) != st.RANK_DEFICIENT:
            return []
        return ["rows or covariates are linearly dependent: look for repeated rows or covariates"]
    dependent = np.flatnonzero(~np.asarray(paths.frame.kept))  # type: ignore[union-attr]
    if not dependent.size:
        return []
    if int(paths.status) >= st.FIRST_FATAL:
        meaning = "What is joint is not determined by the others; drop them and run again"
    else:
        meaning = (
            "Joint effects and tests are those of the span, which does not depend on the columns "
            "chosen; weights are not unique (those of smallest norm are shown)"
        )
    shown = [names.mediators[j] for j in dependent[:SHOWN]]
    more = f" and {dependent.size - SHOWN} more" if dependent.size > SHOWN else ""
    return [
        "mediators that are linear combinations of earlier columns (covariates, exposure, "
        f"mediators): {', '.join(shown)}{more}. {meaning}"
    ]
