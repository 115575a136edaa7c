"""Every kind of column, in every role, through every door: the same data or the same refusal."""

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
pytest.importorskip("polars")
pytest.importorskip("anndata")
pytest.importorskip("openpyxl")
pytest.importorskip("python_calamine")

from data.doors import (  # noqa: E402
    DOORS,
    KINDS,
    ROLES,
    STREAMED,
    Impossible,
    plain_message,
    roles_of,
)

from jaxmed.data import from_frame_with_report  # noqa: E402
from jaxmed.data.frames import table_of  # noqa: E402
from jaxmed.data.streams import stream  # noqa: E402


def bits(data):
    """All that a data object holds, to the bit."""
    arrays = (data.exposure, data.mediators, data.outcome, data.covariates, data.weights)
    plain = [None if a is None else (np.asarray(a, np.float64).tobytes(), a.shape) for a in arrays]
    return (*plain, data.names)


def streamed(path, roles):
    found = stream(path, **roles)
    whole = list(found.blocks())
    found.check_rows(sum(block.dropped for block in whole))
    blocks = [block.data for block in whole]
    joined = {
        name: np.concatenate([getattr(block, name) for block in blocks])
        for name in ("exposure", "mediators", "outcome", "covariates")
    }
    weights = None if blocks[0].weights is None else np.concatenate([b.weights for b in blocks])
    return tuple(
        None if a is None else (np.asarray(a, np.float64).tobytes(), a.shape)
        for a in (*[joined[n] for n in ("exposure", "mediators", "outcome", "covariates")], weights)
    ) + (found.names,)


def answer(door, kind, role, folder):
    """What comes out of a cell of the matrix: bits, names of rows, or a refusal."""
    try:
        if door in STREAMED:
            return streamed(STREAMED[door](kind, folder, role), roles_of(role, kind))
        frame = DOORS[door](kind, folder, role)
        if role == "id":
            return tuple(table_of(frame).row_names("k"))
        return bits(from_frame_with_report(frame, **roles_of(role, kind)).data)
    except (ValueError, TypeError) as error:
        return type(error).__name__, plain_message(error)


def answers(name, role, folder):
    """Door -> answer, of the doors that can hold the kind."""
    found = {}
    for door in (*DOORS, *STREAMED):
        if role == "id" and door in STREAMED:
            continue  # identifiers are read where the table is in memory
        place = folder / door.replace(" ", "_")
        place.mkdir(exist_ok=True)
        try:
            found[door] = answer(door, KINDS[name], role, place)
        except Impossible:
            continue
    return found


def cells():
    """Kinds by roles; in the quick run every kind once, in one role after the other."""
    for i, kind in enumerate(KINDS):
        for j, role in enumerate(ROLES):
            marks = () if j == i % len(ROLES) else pytest.mark.slow
            yield pytest.param(kind, role, marks=marks, id=f"{kind}-{role}")


@pytest.mark.parametrize(("kind", "role"), list(cells()))
def test_all_doors_agree(kind, role, tmp_path):
    found = answers(kind, role, tmp_path)
    reference = found["csv"]
    for door, value in found.items():
        assert value == reference, f"{door} differs from csv: {value[-1]} / {reference[-1]}"
    assert len(found) >= 6


@pytest.mark.slow
def test_the_size_of_the_matrix(tmp_path):
    """At least 22 kinds, 8 roles and 7 doors; cells that no door can hold are counted apart."""
    cells = impossible = 0
    for name, kind in KINDS.items():
        for role in ROLES:
            for door in (*DOORS, *STREAMED):
                if role == "id" and door in STREAMED:
                    impossible += 1
                    continue
                try:
                    (DOORS | STREAMED)[door](kind, tmp_path, role)
                except Impossible:
                    impossible += 1
                else:
                    cells += 1
        assert name
    assert len(KINDS) >= 22 and len(ROLES) == 8 and len(DOORS) + len(STREAMED) >= 7
    assert (cells, impossible) == (len(KINDS) * 8 * 14 - impossible, impossible)
    assert cells > 3500


NUMBERS = {
    "float",
    "float_full_precision",
    "float_missing",
    "integer",
    "integer_missing",
    "zero_one",
    "zero_one_missing",
    "logical",
    "logical_missing",
    "decimal",
    "text_of_numbers",
    "text_of_integers",
    "text_of_padded_numbers",
    "text_of_logicals",
    "missing_markers",
}
TROUBLE = {
    "decimal_comma": r"'1,5' \(row 2\).*decimal=\",\"",
    "thousands": r"'1,500' \(row 2\).*separators",
    "stray_text": r"'n.d.' \(row 2\).*na=\"n.d.\"",
    "below_detection": r"'<0.1' \(row 2\).*limit of detection",
    "percent": r"'12 %' \(row 2\).*bare numbers",
    "other_dates": r"'31.01.2020' \(row 2\).*2020-01-31",
    "huge_integer": r"2\*\*53, '1152921504606846976' \(row 2\).*identifier",
    "codes_and_numbers": r"'01' \(row 2\).*factor=",
}
LEVELS = {  # kind -> number of levels, where it is a category
    "two_levels": 2,
    "four_levels": 4,
    "levels_missing": 3,
    "levels_with_comma": 3,
    "levels_unicode": 3,
    "level_called_none": 3,
    "categorical_text": 3,
    "codes": 3,
}


def meant(kind):
    """What the cells are, as numbers [n] with NaN; by Python's own reading of each."""
    words = {"true": 1.0, "false": 0.0}
    gone = ("", "NA", "NaN", "null")
    texts = [text.strip() for text in KINDS[kind].texts]
    return np.array(
        [
            np.nan if t in gone else words.get(t.lower(), 0) or float(words.get(t.lower(), t))
            for t in texts
        ]
    )


def read(kind, role, folder):
    from data.doors import csv_door

    return from_frame_with_report(
        csv_door(KINDS[kind], folder, role), **roles_of(role, KINDS[kind])
    )


@pytest.mark.parametrize("kind", sorted(NUMBERS))
def test_numbers_are_those_that_the_cells_say(kind, tmp_path):
    values = meant(kind)
    kept = ~np.isnan(values)
    for role, found in (
        ("exposure", lambda d: d.exposure),
        ("outcome", lambda d: d.outcome),
        ("mediator", lambda d: d.mediators[:, 1]),
        ("covariate", lambda d: d.covariates[:, 1]),
    ):
        result = read(kind, role, tmp_path)
        np.testing.assert_array_equal(found(result.data), values[kept])
        assert result.report.missing == ({"k": int((~kept).sum())} if (~kept).any() else {})
    first, second = (meant_probe(text) for text in KINDS[kind].probe)
    chosen = np.isin(values, (first, second))
    assert read(kind, "where", tmp_path).report.rows_where == chosen.sum()
    np.testing.assert_array_equal(
        read(kind, "contrast", tmp_path).data.exposure, (values == second)[chosen]
    )


def meant_probe(text):
    return {"TRUE": 1.0, "FALSE": 0.0}.get(text) if text in ("TRUE", "FALSE") else float(text)


@pytest.mark.parametrize(
    "role", ["exposure", "outcome", "mediator", "covariate", "weight", "where"]
)
@pytest.mark.parametrize("kind", sorted(TROUBLE))
def test_what_is_neither_number_nor_category_is_refused_with_value_row_and_remedy(
    kind, role, tmp_path
):
    with pytest.raises(ValueError, match=f"'k' .*{TROUBLE[kind]}"):
        read(kind, role, tmp_path)


@pytest.mark.parametrize("kind", sorted(LEVELS))
def test_categories(kind, tmp_path):
    levels = sorted({text for text in KINDS[kind].texts if text})
    assert len(levels) == LEVELS[kind]
    result = read(kind, "covariate", tmp_path)
    assert result.report.dummies["k"] == tuple(f"k[{level}]" for level in levels[1:])
    assert result.report.reference_levels["k"] == levels[0]
    counts = {level: KINDS[kind].texts.count(level) for level in levels}
    assert result.report.level_counts["k"] == counts
    for role in ("exposure", "outcome"):
        if len(levels) == 2:
            coded = read(kind, role, tmp_path)
            assert coded.report.coded == {"k": tuple(levels)}
            expected = np.array([float(text == levels[1]) for text in KINDS[kind].texts])
            np.testing.assert_array_equal(getattr(coded.data, role), expected)
        else:
            with pytest.raises((ValueError, TypeError), match="'k' (is categorical|holds text)"):
                read(kind, role, tmp_path)
    with pytest.raises(TypeError, match="mediator 'k' holds text or categories"):
        read(kind, "mediator", tmp_path)


@pytest.mark.parametrize("kind", ["date", "text_of_dates", "date_missing"])
def test_dates_choose_rows_and_are_no_numbers(kind, tmp_path):
    texts = KINDS[kind].texts
    probe = KINDS[kind].probe
    assert read(kind, "where", tmp_path).report.rows_where == sum(t in probe for t in texts)
    assert read(kind, "contrast", tmp_path).data.exposure.sum() == texts.count(probe[1])
    for role in ("exposure", "outcome", "mediator", "covariate", "weight"):
        with pytest.raises(TypeError, match="'k' holds dates"):
            read(kind, role, tmp_path)
    from data.doors import csv_door

    path = csv_door(KINDS[kind], tmp_path, "where")
    roles = roles_of("where", KINDS[kind]) | {"where": "k >= 2020-01-07 and k < '2020-01-13'"}
    found = from_frame_with_report(path, **roles).report
    assert found.rows_where == sum(t in ("2020-01-07", "2020-01-10") for t in texts)


@pytest.mark.parametrize("kind", ["identifier", "padded_digits"])
def test_identifiers_are_no_covariates(kind, tmp_path):
    with pytest.raises(ValueError, match="'k' has 60 levels in 60 rows: an identifier"):
        read(kind, "covariate", tmp_path)
    with pytest.raises(ValueError, match="'k' has 60 levels .*an identifier"):
        read(kind, "exposure", tmp_path)
