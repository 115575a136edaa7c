"""The covariates of an analysis in one sentence."""

from collections.abc import Sequence

__all__ = ["covariate_sentence"]

SHOWN = 8


def covariate_sentence(
    given: Sequence[str],
    groups: Sequence[Sequence[str]],
    sources: Sequence[tuple[int, ...]],
    kinds: Sequence[str],
    dropped: Sequence[str],
    rank: int,
    basis: str,
    chosen_by: str,
    rows: int,
) -> str:
    """E.g. "Covariates: age (with square), site (3 columns): rank 6, basis quadratic (auto; ...)".

    Args:
      given: names of the covariates.
      groups: names of the 0/1 columns of each factor.
      sources: positions of the covariates behind every column.
      kinds: of the columns, see `CovariateBasis`.
      dropped: names left out.
      rank: of the base, intercept included.
      basis: its name.
      chosen_by: "auto" or "request", or another word for who did.
      rows: their number.
    """
    kept = [j for j, name in enumerate(given) if name not in dropped]
    own: dict[int, set[str]] = {j: set() for j in kept}
    for source, kind in zip(sources, kinds, strict=True):
        if len(source) == 1 and source[0] in own:
            own[source[0]].add(kind)
    factor = {name: tuple(group) for group in groups for name in group}
    parts: list[str] = []
    said = set()
    for j in kept:
        group = factor.get(given[j])
        if group is None:
            parts.append(given[j] + _curve(own[j]))
        elif group not in said:
            said.add(group)
            count = sum(given[k] in group for k in kept)
            parts.append(f"{_factor_name(group)} ({count} column{'s' if count > 1 else ''})")
    more = [f"{len(parts) - SHOWN} more"] if len(parts) > SHOWN else []
    products = sum(kind == "product" for kind in kinds)
    if products:
        more.append(f"{products} product{'s' if products > 1 else ''}")
    text = ", ".join(parts[:SHOWN]) or "none"
    text += "".join(f" and {extra}" for extra in more)
    lost = [name for name in dropped if name in given]
    if lost:
        text += f"; left out {', '.join(lost[:SHOWN])}"
        text += f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
    by = "asked for" if chosen_by == "request" else chosen_by
    return f"Covariates: {text}: rank {rank}, basis {basis} ({by}; {rows} rows)"


def _curve(kinds: set[str]) -> str:
    if "cube" in kinds:
        return " (cubic spline)"
    return " (with square)" if "square" in kinds else ""


def _factor_name(group: tuple[str, ...]) -> str:
    """The factor of 0/1 columns such as "site[b]"."""
    heads = {name.rsplit("[", 1)[0] for name in group if name.endswith("]") and "[" in name}
    return heads.pop() if len(heads) == 1 else group[0]
