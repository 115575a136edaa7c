"""Columns without a role that look like groups of rows: families, sites, plates.

Nobody asked for them, so that reading them must neither fail nor take long; what they hold stays
in memory and goes into no file.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from jaxmed.data.columns import Column, Factor, factor_of, missing
from jaxmed.data.roles import MOST_LEVELS, ROWS_PER_LEVEL
from jaxmed.data.tables import Table

__all__ = ["FEWEST_ROWS", "MOST_ROWS", "group_codes", "is_factor", "is_repeated", "named_like"]

MOST_COLUMNS = 50  # kept
COLUMNS_SEEN, CELLS_SEEN = 200, 2_000_000  # of columns whose names say nothing
CODE_BYTES = 1 << 26  # of all codes kept
# A group that makes rows dependent has so many of them.
FEWEST_ROWS, MOST_ROWS = 2, 50
REPEATED = 0.5  # share of the rows that are in such groups

# Rows of one person, or of related ones; and rows that were treated or measured together.
PERSONS = frozenset(
    "family families fam subject subjects subj patient patients pat person persons participant "
    "participants donor donors individual individuals household households mother mothers twin "
    "twins pair pairs sibship litter litters id ids fid iid pid famid familyid subjid subjectid "
    "patid patientid personid donorid pairid twinid mrn".split()
)
PLACES = frozenset(
    "site sites centre centres center centers hospital hospitals clinic clinics plate plates batch "
    "batches chip chips array arrays cluster clusters school schools cage cages village villages "
    "ward wards siteid centreid centerid clinicid plateid batchid".split()
)
# Behind such a word a name still is one: "plate_no" is, "patient_age" is not.
NEUTRAL = frozenset("id no nr num number code name key index label".split())


def named_like(name: str) -> str:
    """What a name says that rows of one value share: "person", "place", or "" for nothing."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    if not words or words[-1] not in PERSONS | PLACES | NEUTRAL:
        return ""
    # The last word that says something: "patient_site" is a site.
    for word in reversed(words):
        if word in PLACES:
            return "place"
        if word in PERSONS and word != "id":
            return "person"
    return "person" if "id" in words else ""


def is_factor(codes: np.ndarray) -> bool:
    """True for codes [n] (-1 missing) of so few levels that each is a group of rows."""
    sizes = _sizes(codes)
    most = min(max(MOST_LEVELS, sizes.sum() / ROWS_PER_LEVEL), sizes.sum() / 2)
    return 2 <= sizes.size <= most


def is_repeated(codes: np.ndarray, most_rows: float = MOST_ROWS) -> bool:
    """True for codes [n] (-1 missing) most of whose rows are in groups of a few rows."""
    sizes = _sizes(codes)
    within = sizes[(sizes >= FEWEST_ROWS) & (sizes <= most_rows)]
    return sizes.size >= 2 and bool(within.sum() > REPEATED * len(codes))


def group_codes(table: Table, names: Sequence[str], rows: np.ndarray) -> Mapping[str, np.ndarray]:
    """Codes of the columns that look like groups on the rows used.

    Columns whose names say so are looked at first, the others in their order and as far as that
    takes little: up to `COLUMNS_SEEN` of them and `CELLS_SEEN` cells. A column most of whose values
    are different is not read.

    Args:
      table: the table; a stream's has no such columns at hand.
      names: columns without a role.
      rows: [n] positions in the table.
    Returns:
      Name -> [n] int codes from 0, -1 where missing, in the order of the table; `MOST_COLUMNS` at
      most.
    """
    if table.repeats is None:
        return {}
    speaking = [name for name in names if named_like(name)]
    most = min(MOST_COLUMNS, CODE_BYTES // max(4 * rows.size, 1))
    others = [name for name in names if not named_like(name)]
    others = others[: min(COLUMNS_SEEN, CELLS_SEEN // max(table.rows, 1))]
    found: dict[str, np.ndarray] = {}
    for name in (*speaking[:MOST_COLUMNS], *others):
        if len(found) >= most:
            break
        codes = _codes(table, name, rows)
        if codes is not None and (is_factor(codes) or is_repeated(codes)):
            found[name] = codes
    return {name: found[name] for name in names if name in found}


def _codes(table: Table, name: str, rows: np.ndarray) -> np.ndarray | None:
    """The column as codes [n]; None for measurements, and for what cannot be read."""
    try:
        with np.errstate(all="ignore"):
            if table.repeats is None or not table.repeats(name):
                return None
            return _coded(table.read(name).values, rows)
    except Exception:
        # Whatever is wrong with a column that nobody asked for is no reason to refuse the others.
        return None


def _coded(column: Column, rows: np.ndarray) -> np.ndarray | None:
    if isinstance(column, Factor):
        present, codes = np.unique(column.codes[rows], return_inverse=True)
        return (codes - int(present[0] < 0)).astype(np.int32)
    values = column[rows]
    if values.dtype.kind == "f":
        whole = values[~np.isnan(values)]
        if not np.array_equal(whole, np.round(whole)):
            return None
    elif values.dtype.kind not in "biuM":
        return None
    if missing(values).all():
        return None
    return factor_of(values).codes.astype(np.int32)


def _sizes(codes: np.ndarray) -> np.ndarray:
    """Rows of each level that has any."""
    sizes = np.bincount(codes[codes >= 0])
    return sizes[sizes > 0]
