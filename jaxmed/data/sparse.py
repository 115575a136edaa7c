"""scipy.sparse matrices as arrays; the library is recognised by its module, never imported."""

from typing import Any

from jaxmed.budget import check_fits

__all__ = ["from_sparse"]


def from_sparse(values: Any) -> Any:
    """A scipy.sparse matrix or array as a NumPy array; anything else as it is."""
    if type(values).__module__.split(".")[0] == "scipy" and hasattr(values, "toarray"):
        rows, columns = values.shape if len(values.shape) == 2 else (1, values.shape[0])
        check_fits("the number of values of a sparse matrix", rows * columns, 8)
        return values.toarray()
    return values
