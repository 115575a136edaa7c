"""Kinds of columns, and the doors through which a table can come in, for the matrix of both.

A kind is a list of cells as one would write them; a door is a function from columns to whatever
`from_frame`, or `stream`, takes. A door that cannot hold a kind raises `Impossible`.
"""

import dataclasses
import datetime
import decimal
import gzip
import io
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

N = 60


class Impossible(Exception):
    """This door cannot hold these cells."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """Cells of one column.

    Attributes:
      cells: Python values as a typed table holds them; None is missing.
      texts: the same as a text file holds them.
      probe: texts of two values, for where and contrast.
      category: a categorical type is meant, which text cannot say.
    """

    cells: list
    texts: list
    probe: tuple
    category: bool = False


def _kind(cells, texts=None, probe=None, category=False):
    if texts is None:
        texts = [_text(cell) for cell in cells]
    if probe is None:
        seen = list(dict.fromkeys(t for t in texts if t != ""))
        probe = (*seen[:2], *["none such"] * (2 - len(seen[:2])))
    return Kind(cells, texts, tuple(probe[:2]), category)


def _text(cell):
    if cell is None:
        return ""
    if isinstance(cell, bool | np.bool_):
        return "TRUE" if cell else "FALSE"
    return repr(float(cell)) if isinstance(cell, float) else str(cell)


def _cycled(values):
    return [values[i % len(values)] for i in range(N)]


def _holes(cells, every=11):
    return [None if i % every == 3 else cell for i, cell in enumerate(cells)]


RNG = np.random.default_rng(5)
FLOATS = np.round(RNG.uniform(0.1, 3, 9), 5).tolist()
REALS = RNG.normal(size=9).tolist()
DAYS = [datetime.date(2020, 1, 1 + 3 * j) for j in range(9)]

KINDS = {
    "float": _kind(_cycled(FLOATS)),
    "float_full_precision": _kind(_cycled(REALS)),
    "float_missing": _kind(_holes(_cycled(FLOATS))),
    "integer": _kind(_cycled([1, 2, 3, 5, 8])),
    "integer_missing": _kind(_holes(_cycled([1, 2, 3, 5, 8]))),
    "zero_one": _kind(_cycled([0, 1, 1])),
    "zero_one_missing": _kind(_holes(_cycled([0, 1, 1]))),
    "logical": _kind(_cycled([True, False, False])),
    "logical_missing": _kind(_holes(_cycled([True, False, False]))),
    "decimal": _kind(_cycled([decimal.Decimal(t) for t in ("1.25", "0.5", "3")])),
    "text_of_numbers": _kind(_cycled(["1.5", "2.25", "0.5", "1e1"])),
    "text_of_integers": _kind(_cycled(["3", "1", "2"])),
    "text_of_padded_numbers": _kind(_cycled([" 1.5", "2.25 ", "0.5"]), probe=("1.5", "2.25")),
    "text_of_logicals": _kind(_cycled(["true", "FALSE", "True"]), probe=("TRUE", "FALSE")),
    "decimal_comma": _kind(_cycled(["1,5", "2,25", "10,5"])),
    "thousands": _kind(_cycled(["1,500", "2,250", "10,500"])),
    "stray_text": _kind(["n.d.", *_cycled(["1.5", "2.5", "0.5"])[1:]], probe=("1.5", "2.5")),
    "below_detection": _kind(_cycled(["<0.1", "0.4", "0.7", "1.3"])),
    "percent": _kind(_cycled(["12 %", "15 %", "18 %"])),
    "date": _kind(_cycled(DAYS), probe=("2020-01-01", "2020-01-04")),
    "date_missing": _kind(_holes(_cycled(DAYS)), probe=("2020-01-01", "2020-01-04")),
    "text_of_dates": _kind(_cycled([str(day) for day in DAYS])),
    "other_dates": _kind(_cycled(["31.01.2020", "28.02.2020", "01.03.2020"])),
    "two_levels": _kind(_cycled(["placebo", "drug", "drug"])),
    "four_levels": _kind(_cycled(["north", "east", "south", "west", "west"])),
    "levels_missing": _kind(_holes(_cycled(["north", "east", "south"]))),
    "levels_with_comma": _kind(_cycled(["a, b", 'c "d"', "e;f"])),
    "levels_unicode": _kind(_cycled(["größe", "北", "é"])),
    "level_called_none": _kind(_cycled(["None", "mild", "severe"])),
    "missing_markers": _kind(_cycled(["1.5", "NA", "2.5", "NaN", "null"]), probe=("1.5", "2.5")),
    "identifier": _kind([f"P{i:03d}" for i in range(N)]),
    "codes": _kind(_cycled(["01", "02", "10"])),
    "codes_and_numbers": _kind(_cycled(["01", "2", "10"]), probe=("2", "10")),
    "padded_digits": _kind([f"{i:04d}" for i in range(N)]),
    "huge_integer": _kind([2**60 + i for i in range(N)]),
    "infinite": _kind(["inf", *_cycled(["1.5", "2.5"])[1:]], probe=("1.5", "2.5")),
    "constant": _kind([2.5] * N),
    "all_missing": _kind([None] * N, probe=("1", "2")),
    "categorical_text": _kind(_cycled(["north", "east", "south"]), category=True),
}


def base_columns():
    """The other columns: floats and integers that every door holds."""
    rng = np.random.default_rng(1)
    columns = {name: np.round(rng.normal(size=N), 6) for name in ("x", "y", "m1", "m2", "c")}
    return columns | {"w": rng.integers(1, 4, N)}


def _typed(kind):
    """Cells as an object array."""
    array = np.empty(len(kind.cells), object)
    array[:] = kind.cells
    return array


def _frame(kind):
    frame = pd.DataFrame(base_columns())
    cells = kind.cells
    if kind.category:
        frame["k"] = pd.Categorical(cells)
    elif all(isinstance(c, float | None) for c in cells):
        frame["k"] = np.array([np.nan if c is None else c for c in cells], float)
    elif all(isinstance(c, bool | None) for c in cells):
        frame["k"] = pd.array(cells, dtype="boolean")
    elif all(isinstance(c, int | None) for c in cells):
        frame["k"] = pd.array(cells, dtype="Int64")
    elif all(isinstance(c, datetime.date | None) for c in cells):
        frame["k"] = pd.to_datetime(pd.Series(cells))
    else:
        frame["k"] = _typed(kind)
    return frame


def csv_text(kind, separator=","):
    """The table as text, fields quoted where they must be."""
    columns = {name: [_text(v) for v in values.tolist()] for name, values in base_columns().items()}
    columns["k"] = kind.texts

    def field(text):
        special = any(c in text for c in (separator, '"', "\n"))
        return '"' + text.replace('"', '""') + '"' if special else text

    rows = [separator.join(columns)]
    rows += [separator.join(field(columns[name][i]) for name in columns) for i in range(N)]
    return "\n".join(rows) + "\n"


def pandas_door(kind, folder, role):
    return _frame(kind)


def object_door(kind, folder, role):
    """A pandas object column, as SQL and JSON give it."""
    frame = pd.DataFrame(base_columns())
    frame["k"] = pd.Series(_typed(kind), dtype=object)
    if kind.category:
        raise Impossible
    return frame


def dict_door(kind, folder, role):
    if kind.category:
        raise Impossible
    return base_columns() | {"k": _typed(kind)}


def polars_door(kind, folder, role):
    import polars as pl

    frame = pl.DataFrame(base_columns())
    if kind.category:
        return frame.with_columns(pl.Series("k", kind.cells, dtype=pl.Categorical))
    dtype = pl.Float64 if all(c is None for c in kind.cells) else None
    return frame.with_columns(pl.Series("k", kind.cells, dtype=dtype, strict=False))


def _arrow(kind):
    table = pa.table(base_columns())
    column = pa.array(kind.cells)
    if kind.category:
        column = column.dictionary_encode()
    return table.append_column("k", column)


def arrow_door(kind, folder, role):
    return _arrow(kind)


def parquet_door(kind, folder, role):
    path = folder / "table.parquet"
    table = _arrow(kind)
    if table.column("k").type == pa.null():
        table = table.set_column(6, "k", table.column("k").cast(pa.float64()))
    pq.write_table(table, path, row_group_size=25)
    return path


def csv_door(kind, folder, role):
    path = folder / "table.csv"
    path.write_text(csv_text(kind), encoding="utf-8")
    return path


def tsv_gz_door(kind, folder, role):
    path = folder / "table.tsv.gz"
    path.write_bytes(gzip.compress(csv_text(kind, "\t").encode("utf-16")))
    return path


def npz_door(kind, folder, role):
    if kind.category or any(isinstance(c, bool) for c in kind.cells) and None in kind.cells:
        raise Impossible
    cells = kind.cells
    if all(isinstance(c, float | int | None) and not isinstance(c, bool) for c in cells):
        whole = all(isinstance(c, int) for c in cells)
        column = np.array([np.nan if c is None else c for c in cells], None if whole else float)
    elif all(isinstance(c, bool) for c in cells):
        column = np.array(cells)
    elif any(isinstance(c, decimal.Decimal | datetime.date) for c in cells):
        raise Impossible
    else:
        column = np.array(kind.texts)
    path = folder / "table.npz"
    np.savez(path, **base_columns(), k=column)
    return path


def xlsx_door(kind, folder, role):
    import openpyxl

    # A spreadsheet has 16 digits, and no categories.
    numbers = [c for c in kind.cells if isinstance(c, int | float)]
    if kind.category or any(float(f"{c:.16g}") != c or abs(c) > 2**53 for c in numbers):
        raise Impossible
    book = openpyxl.Workbook()
    sheet = book.active
    columns = {name: values.tolist() for name, values in base_columns().items()}
    columns["k"] = kind.cells
    sheet.append(list(columns))
    for i in range(N):
        sheet.append([columns[name][i] for name in columns])
    content = io.BytesIO()
    book.save(content)
    path = folder / "table.xlsx"
    path.write_bytes(content.getvalue())
    return path


def h5ad_door(kind, folder, role):
    import anndata

    frame = _frame(kind)
    numeric = frame["k"].dtype.kind in "biuf" and isinstance(frame["k"].dtype, np.dtype)
    if role == "mediator" and not numeric:
        raise Impossible
    kinds = {type(cell) for cell in kind.cells}
    if kinds & {decimal.Decimal, datetime.date} or kind.cells == [None] * N and not numeric:
        raise Impossible
    genes = ["m1", "m2", "k"] if role == "mediator" else ["m1", "m2"]
    block = frame[genes].to_numpy(dtype=float)
    obs = frame.drop(columns=genes)
    obs.index = [f"cell{i}" for i in range(N)]
    path = folder / "table.h5ad"
    adata = anndata.AnnData(block, obs=obs)
    adata.var_names = genes
    adata.write_h5ad(path)
    return path


DOORS = {
    "csv": csv_door,
    "tsv.gz utf-16": tsv_gz_door,
    "xlsx": xlsx_door,
    "parquet": parquet_door,
    "npz": npz_door,
    "h5ad": h5ad_door,
    "pandas": pandas_door,
    "pandas object": object_door,
    "polars": polars_door,
    "pyarrow": arrow_door,
    "dict": dict_door,
}
STREAMED = {
    "csv in blocks": csv_door,
    "parquet in blocks": parquet_door,
    "h5ad in blocks": h5ad_door,
}
ROLES = ("exposure", "outcome", "mediator", "covariate", "weight", "id", "where", "contrast")


def roles_of(role, kind):
    """Arguments of `from_frame` with the column k in a role."""
    roles = {"exposure": "x", "outcome": "y", "mediators": "m1,m2", "covariates": ["c"]}
    roles["nan_policy"] = "drop"
    first, second = kind.probe
    if role in ("exposure", "contrast"):
        roles["exposure"] = "k"
    elif role == "outcome":
        roles["outcome"] = "k"
    elif role == "mediator":
        roles["mediators"] = "m1,k,m2"
    elif role == "covariate":
        roles["covariates"] = ["c", "k"]
    elif role == "weight":
        roles["weights"] = "k"
    elif role == "where":
        roles["where"] = "k in ({}, {})".format(
            *("'" + t.replace("'", "''") + "'" for t in kind.probe)
        )
    if role == "contrast":
        roles["contrast"] = (first, second)
    return roles


def plain_message(error):
    """A message without what differs between doors: rows, and where the table comes from."""
    text = re.sub(r"row \d+", "row N", str(error).split("\n")[0])
    text = re.sub(r"of the (table|file)|of table[\w.]*", "of it", text)
    return re.sub(r"at least 3 rows are needed.*", "at least 3 rows are needed", text)
