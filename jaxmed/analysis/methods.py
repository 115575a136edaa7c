"""The registry as a table."""

from jaxmed.registry import METHODS
from jaxmed.reports.table import Table

__all__ = ["methods"]


def methods() -> Table:
    """Every method that a call knows by name, one row each.

        jaxmed.methods()["hdma"]["source"]
        jaxmed.methods().where(estimand="effects", p_over_n=True).to_pandas()

    Columns: name; label; estimand ("effects" through all mediators, or of one "composite");
    p_over_n (exists with more mediators than rows); random (draws from its key); families of the
    outcome; weights (reads case weights as counts of rows); needs_rows (False: `mediate` has it of
    moments and streams, too); source.
    """
    rows = [
        {
            "name": method.name,
            "label": method.label,
            "estimand": method.estimand,
            "p_over_n": method.in_dual,
            "random": method.random,
            "families": ", ".join(method.families),
            "weights": method.takes_weights,
            "needs_rows": not (method.of_moments or method.name == "ols"),
            "source": method.source,
        }
        for method in METHODS.values()
    ]
    return Table(rows, "name")
