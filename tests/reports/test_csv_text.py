"""Texts that a spreadsheet would run, in every CSV that is written; numbers are left alone."""

import csv
import io

import numpy as np
import pytest

from jaxmed.reports.comparison import flat_rows
from jaxmed.reports.csv_text import as_text, columns_csv, csv_text, given_text
from jaxmed.reports.evaluation import table_csv as evaluation_csv
from jaxmed.reports.save import save
from jaxmed.reports.sections import TidyTable
from jaxmed.reports.tidy import table_csv

RUNS = {
    "equals": "=1+1",
    "plus": "+SUM(A1)",
    "minus": "-2+3",
    "at": "@SUM(A1)",
    "tab": "\t=1",
    "return": "\r=1",
    "blank": "  =1",
    "no-break": "\xa0=1",
    "newline": "\n=1",
    "nul": "\x00=1",
    "mark": "\ufeff=1",
    "wide": "\uff1d1+1",
    "quoted": "'=1",
    "command": '=cmd|"/c calc"!A1',
    "comma": "=HYPERLINK(1,2)",
    "name": "-HLA-A",
    "infinite": "-infinity",
}
STAYS = ["", "a=b", "prot-1", "-1", "+2.5", "-1e-5", "-.5", "-inf", "'a", "1-2", "[-1, 2]", "–"]


def mediators(name, tmp_path, build):
    record = build(60, 5, names=[name, "b", "c", "d", "e"])
    save(record, tmp_path, figures=False)
    return (tmp_path / "mediators.csv").read_bytes().decode()


def comparison_mediators(name, tmp_path, build):
    return columns_csv({"method": np.array(["ols"]), "mediator": np.array([name], object)})


def comparison(name, tmp_path, build):
    rows = flat_rows({"table": [{"method": name, "failed": {}, "notes": [], "direct": -0.5}]})
    return table_csv(TidyTable({key: key for key in rows[0]}, rows))


def evaluation(name, tmp_path, build):
    return evaluation_csv({"table": [{"method": name, "indirect": -0.5, "group_means": [-1.5]}]})


def heading(name, tmp_path, build):
    return csv_text([name], [[-1.0]])


def columns_heading(name, tmp_path, build):
    return columns_csv({name: np.array([-1.0])})


def study(name, tmp_path, build):
    return table_csv(TidyTable({"cell": "Cell", "n": "n"}, [{"cell": name, "n": (-1.0, 0.5)}]))


WRITERS = [
    mediators,
    comparison_mediators,
    comparison,
    evaluation,
    heading,
    columns_heading,
    study,
]


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.__name__)
@pytest.mark.parametrize("kind", RUNS)
def test_no_writer_lets_a_text_run(kind, writer, tmp_path, build):
    text = writer(RUNS[kind], tmp_path, build)
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert f"'{RUNS[kind]}" in cells and RUNS[kind] not in cells
    assert RUNS[kind] in [given_text(cell) for cell in cells]


@pytest.mark.parametrize("text", STAYS)
def test_other_texts_and_numbers_in_texts_stay(text):
    assert as_text(text) == text == given_text(text)


@pytest.mark.parametrize("text", [*RUNS.values(), "''=1", "'\t", *STAYS])
def test_the_text_given_comes_back(text):
    assert given_text(as_text(text)) == text


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, object])
def test_numbers_are_never_touched(dtype):
    values = np.array([-1, -1000000, 0, 3], dtype)
    text = columns_csv({"x": values})
    np.testing.assert_array_equal(np.array(text.split()[1:], float), values.astype(float))
    assert "'" not in text


def test_numbers_read_back_and_what_is_missing_is_nan_or_empty():
    values = np.array([-0.1, np.nan, -np.inf, 1 / 3])
    lines = columns_csv({"x": values}).split()[1:]
    np.testing.assert_array_equal(np.array(lines, float), values)
    assert csv_text(["a", "b"], [[None, -2.5], [True, -3]]) == "a,b\n,-2.5\nTrue,-3\n"


def test_half_of_a_surrogate_pair_is_escaped():
    assert csv_text(["a\ud800"], [["\udfff"]]).encode() == b"a\\ud800\n\\udfff\n"
