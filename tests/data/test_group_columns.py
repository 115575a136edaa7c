"""Columns without a role that look like groups: kept at every door, and never in the way."""

import dataclasses
import json

import numpy as np
import pytest

from jaxmed.data import from_frame_with_report
from jaxmed.data.column_reader import mostly_repeated
from jaxmed.data.frames import table_of
from jaxmed.data.group_columns import (
    MOST_COLUMNS,
    group_codes,
    is_factor,
    is_repeated,
    named_like,
)
from jaxmed.data.streams import stream

N = 60
ROLES = {"exposure": "x", "outcome": "y", "mediators": "m1,m2", "covariates": ["c"]}
FAMILY = np.arange(N) // 3
PLATE = np.array(["p1", "p2", "p3"])[np.arange(N) % 3]


def base():
    rng = np.random.default_rng(0)
    return {name: np.round(rng.normal(size=N), 6) for name in ("x", "y", "m1", "m2", "c", "z")}


def with_groups():
    unique = np.array([f"P{i:03d}" for i in range(N)])
    return base() | {"family": FAMILY, "plate": PLATE, "sample": unique}


def doors(folder):
    """Name -> what `from_frame` takes, of the same columns."""
    pandas = pytest.importorskip("pandas")
    columns = with_groups()
    frame = pandas.DataFrame(columns)
    frame.to_csv(folder / "table.csv", index=False)
    frame.to_csv(folder / "table.tsv.gz", index=False, sep="\t")
    np.savez(folder / "table.npz", **columns)
    found = {
        "dict": columns,
        "pandas": frame,
        "pandas object": frame.astype({"plate": object, "family": object}),
        "pandas category": frame.astype({"plate": "category", "family": "category"}),
        "csv": folder / "table.csv",
        "tsv.gz": folder / "table.tsv.gz",
        "npz": folder / "table.npz",
    }
    arrow = pytest.importorskip("pyarrow")
    found["pyarrow"] = arrow.table(columns)
    pytest.importorskip("pyarrow.parquet").write_table(found["pyarrow"], folder / "table.parquet")
    found["parquet"] = folder / "table.parquet"
    polars = pytest.importorskip("polars")
    found["polars"] = polars.DataFrame(columns)
    anndata = pytest.importorskip("anndata")
    genes = ["m1", "m2", "z"]
    obs = frame.drop(columns=genes)
    obs.index = [f"cell{i}" for i in range(N)]
    annotated = anndata.AnnData(frame[genes].to_numpy(), obs=obs)
    annotated.var_names = genes
    annotated.write_h5ad(folder / "table.h5ad")
    found["anndata"], found["h5ad"] = annotated, folder / "table.h5ad"
    pytest.importorskip("openpyxl")
    pytest.importorskip("python_calamine")
    frame.to_excel(folder / "table.xlsx", index=False)
    found["xlsx"] = folder / "table.xlsx"
    return found


def test_every_door_has_the_same_groups(tmp_path):
    found = doors(tmp_path)
    assert len(found) == 13
    for door, frame in found.items():
        groups = from_frame_with_report(frame, **ROLES).report.group_codes
        assert list(groups) == ["family", "plate"], door
        np.testing.assert_array_equal(groups["family"], FAMILY, err_msg=door)
        np.testing.assert_array_equal(groups["plate"], np.arange(N) % 3, err_msg=door)


def test_codes_are_of_the_rows_used():
    columns = with_groups()
    columns["m1"][[4, 5]] = np.nan
    family = FAMILY.astype(float)
    family[7] = np.nan
    found = from_frame_with_report(
        columns | {"family": family}, **ROLES, where="plate != 'p2'", nan_policy="drop"
    )
    report = found.report
    used = [i for i in range(N) if i % 3 != 1 and i not in (4, 5)]
    np.testing.assert_array_equal(report.row_numbers, used)
    # A column that only chose rows is one without a role of its own.
    np.testing.assert_array_equal(report.group_codes["plate"], (np.array(used) % 3 > 0).astype(int))
    whole = np.array([-1 if i == 7 else FAMILY[i] for i in used])
    codes = report.group_codes["family"]
    np.testing.assert_array_equal(codes < 0, whole < 0)
    same = codes[:, None] == codes
    np.testing.assert_array_equal(same, whole[:, None] == whole)


def test_a_stream_keeps_nothing_of_its_rows(tmp_path):
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame(with_groups()).to_csv(tmp_path / "table.csv", index=False)
    report = stream(tmp_path / "table.csv", **ROLES).report
    assert report.row_numbers is None and report.group_codes == {}


def test_no_row_goes_into_a_file():
    report = from_frame_with_report(with_groups(), **ROLES).report
    plain = report.to_dict()
    assert not {"group_codes", "row_numbers"} & set(plain)
    text = json.dumps(plain)
    assert "p1" not in text and len(text) < 2000
    assert "array" not in repr(report)
    assert report == from_frame_with_report(with_groups(), **ROLES).report
    assert report.without_role == ("z", "family", "plate", "sample")


@pytest.mark.parametrize(
    "cells",
    [
        [[1], [2, 3]] * 30,  # no column of any kind
        ["1,5 kg", "2.5", "x"] * 20,  # a trouble in any role
        [None] * N,
        [2**70 + i for i in range(N)],
        [complex(i, 1) for i in range(N)],
    ],
)
def test_an_unreadable_column_without_a_role_is_passed_over(cells):
    odd = np.empty(N, object)
    odd[:] = cells
    report = from_frame_with_report(with_groups() | {"odd": odd, "site": odd}, **ROLES).report
    assert {"family", "plate"} <= set(report.group_codes)
    assert "odd" in report.without_role


def test_measurements_are_not_kept():
    rng = np.random.default_rng(0)
    columns = base() | {
        "whole": np.arange(N),
        "share": rng.uniform(size=N),
        "constant": np.full(N, 3),
        "halves": (np.arange(N) % 4) / 2,
        "dates": np.datetime64("2020-01-01") + np.arange(N) % 5,
    }
    assert list(from_frame_with_report(columns, **ROLES).report.group_codes) == ["dates"]


def test_many_columns_are_bounded_and_those_with_a_name_come_first():
    rng = np.random.default_rng(0)
    columns = base() | {f"g{j}": rng.integers(0, 4, N) for j in range(MOST_COLUMNS + 20)}
    columns |= {"batch": np.arange(N) % 4}
    groups = from_frame_with_report(columns, **ROLES).report.group_codes
    assert len(groups) == MOST_COLUMNS and list(groups)[-1] == "batch"


def test_little_of_a_large_table_is_looked_at():
    table = table_of({"x": np.arange(4)})
    names = [f"p{j}" for j in range(300)] + ["site"]
    seen = []

    def seeing(name):
        seen.append(name)
        return False

    def found(rows):
        seen.clear()
        large = dataclasses.replace(table, rows=rows, repeats=seeing, read=None)  # nothing is read
        assert group_codes(large, names, np.arange(4)) == {}
        return list(seen)

    assert found(400_000) == ["site", *names[:5]]
    assert found(100) == ["site", *names[:200]]
    assert group_codes(dataclasses.replace(table, repeats=None), ["x"], np.arange(4)) == {}


@pytest.mark.parametrize("share", [0.4, 0.6])
def test_every_library_says_what_repeats(share):
    pandas, polars, arrow = (pytest.importorskip(n) for n in ("pandas", "polars", "pyarrow"))
    numbers = np.r_[np.zeros(int(100 * share)), np.arange(1, 101 - int(100 * share))]
    texts = [f"t{int(v)}" for v in numbers]
    holders = (np.array, pandas.Series, polars.Series, lambda v: arrow.chunked_array([v]))
    for cells in (numbers, texts):
        for hold in holders:
            assert mostly_repeated(hold(cells)) == (share > 0.5)
    assert mostly_repeated(np.array(texts, object)) == (share > 0.5)


@pytest.mark.parametrize(
    "name, kind",
    [
        ("family", "person"),
        ("FamilyID", "person"),
        ("subject_id", "person"),
        ("id", "person"),
        ("donor", "person"),
        ("site", "place"),
        ("site_id", "place"),
        ("patient_site", "place"),
        ("plate.no", "place"),
        ("PlateNo", "place"),
        ("BATCH", "place"),
        ("centre2", "place"),
        ("covid", ""),
        ("lipid", ""),
        ("platelets", ""),
        ("patient_age", ""),
        ("hospital_free_days", ""),
        ("schooling", ""),
        ("name", ""),
        ("", ""),
        ("größe", ""),
    ],
)
def test_names(name, kind):
    assert named_like(name) == kind


def test_sizes():
    pairs, whole, rare = np.arange(100) // 2, np.arange(100), np.r_[np.zeros(60), np.arange(1, 41)]
    assert is_repeated(pairs) and not is_factor(pairs)
    assert not is_repeated(whole) and not is_factor(whole)
    assert not is_repeated(rare.astype(int)) and is_repeated(rare.astype(int), np.inf)
    four = np.arange(400) % 4
    assert is_factor(four) and not is_repeated(four)
    assert not is_factor(np.zeros(5, int)) and not is_factor(np.full(5, -1))
