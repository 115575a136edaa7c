"""Tidy tables as text and CSV: every number with its standard error."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.reports.endings import ending_rows, ending_table
from jaxmed.reports.sections import Section, TidyTable
from jaxmed.reports.study_page import StudyReport, save_study
from jaxmed.reports.tidy import cell_text, is_numeric, table_csv, table_text, with_error
from jaxmed.sweeps import combine, moments, stack

TABLE = TidyTable(
    {"name": "Name", "rate": "Rate", "n": "n", "ok": "Fine"},
    [
        {"name": "a, b", "rate": (0.0478, 0.0071), "n": np.int64(12), "ok": True},
        {"name": "c", "rate": (jnp.float32(0.5), None), "ok": np.bool_(False)},
        {"name": "d", "rate": 0.25, "n": None},
    ],
    "A note.",
)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.0478, 0.0071, "0.0478 (0.0071)"),
        (0.0478, 0.00126, "0.0478 (0.0013)"),
        (0.0478, 0.0096, "0.0478 (0.0096)"),
        (-3.14159, 0.27, "-3.14 (0.27)"),
        (1234.5, 31.0, "1234 (31)"),
        (1234.5, 300.0, "1234 (300)"),
        (0.05, 0.0, "0.05000 (0)"),
        (0.05, math.nan, "0.05000 (–)"),
        (math.nan, 0.1, "–"),
        (1.5e-9, 2e-11, "1.500e-9 (2.0e-11)"),
        (2.5e7, 3e4, "2.5000e7 (30000)"),
    ],
)
def test_a_number_has_the_decimals_of_its_standard_error(value, error, text):
    assert with_error(value, error) == text


def test_text_has_every_cell_and_the_note():
    lines = table_text(TABLE).splitlines()
    assert lines[0].split() == ["Name", "Rate", "n", "Fine"]
    assert lines[2].split("  ")[0] == "a, b" and "0.0478 (0.0071)" in lines[2]
    assert "yes" in lines[2] and "no" in lines[3] and lines[-1] == "A note."
    assert is_numeric(TABLE, "rate") and not is_numeric(TABLE, "ok")


def test_csv_has_all_digits_and_a_column_for_the_error():
    lines = table_csv(TABLE).splitlines()
    assert lines[0] == "name,rate,rate_se,n,ok"
    assert lines[1] == '"a, b",0.0478,0.0071,12,True'
    assert lines[2] == "c,0.5,nan,,False"
    assert lines[3] == "d,0.25,,,"


def test_triples_are_refused():
    with pytest.raises(ValueError, match="pairs"):
        cell_text((1.0, 2.0, 3.0))


def test_endings_are_counted_from_summaries_and_from_stacked_columns():
    columns = {"a/x": np.arange(4.0), "a/status": np.array([0, 0, 30, 16])}
    rows = {}
    for name, reducer in (("s", stack()), ("m", moments()), ("c", combine(x=moments(), y=stack()))):
        rows[name] = ending_rows({"cell": reducer.finish(reducer.lift(columns))})
    assert rows["s"] == rows["m"] == rows["c"]
    table = ending_table(rows["s"] + [dict(row, cell="other") for row in rows["s"]])
    (row,) = table.rows
    assert (row["replicates"], row["fatal"]) == (8, 2)
    assert row["ended"] == "OK 4, NOT_CONVERGED 2, NOT_ESTIMATED 2"


@pytest.mark.parametrize("names", [["../up"], ["a", "a"], ["statuses"], [""]])
def test_section_names_are_file_names(names, tmp_path):
    report = StudyReport("t", {}, [Section(name, "Title") for name in names], {})
    with pytest.raises(ValueError, match="section"):
        save_study(report, tmp_path)
    assert list(tmp_path.iterdir()) == []
