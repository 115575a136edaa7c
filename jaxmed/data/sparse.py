"""scipy.sparse matrices as arrays; the library is recognised by its module, never imported."""

from typing import Any

__all__ = ["from_sparse"]


def from_sparse(values: Any) -> Any:
    """A scipy.sparse matrix or array as a NumPy array; anything else as it is."""
    if type(values).__module__.split(".")[0] == "scipy" and hasattr(values, "toarray"):
        return values.toarray()
    return values
