"""What a site refuses, each with its reason."""

import dataclasses

import numpy as np
import pytest
from disclosing_tables import table
from site_problems import sites

from jaxmed.data.validation import InvalidDataError
from jaxmed.federated.noise import noise_for
from jaxmed.federated.rules import ReleaseRefused, Rules
from jaxmed.federated.summary import summarise


def rows(data, count):
    fields = ("exposure", "mediators", "outcome", "covariates")
    return dataclasses.replace(data, **{f: getattr(data, f)[:count] for f in fields})


def with_covariate(data, column, name="flag"):
    names = dataclasses.replace(data.names, covariates=(*data.names.covariates, name))
    covariates = np.column_stack([data.covariates, column])
    return dataclasses.replace(data, covariates=covariates, names=names)


def test_too_few_rows():
    columns = np.random.default_rng(1).uniform(-1, 1, (20, 4))
    with pytest.raises(ReleaseRefused, match="19 rows, fewer than min_rows=20: merge them"):
        summarise(table(columns[:19]), site="a", max_ratio=0.9)
    assert summarise(table(columns), site="a", max_ratio=0.9).moments.count == 20


def test_rows_without_weight_do_not_count():
    data = sites(weighted=True, rows=(23, 60, 60))[0]
    with pytest.raises(ReleaseRefused, match="19 rows"):
        summarise(data, site="a", max_ratio=0.9)


@pytest.mark.parametrize(
    "options",
    [
        {"min_rows": 9},
        {"max_ratio": 1.0},
        {"max_ratio": 0},
        {"min_cell": 0},
        {"max_share": 0.6},
        {"max_share": 0},
    ],
)
def test_no_setting_goes_below_the_floor(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        summarise(sites()[0], site="a", **options)
    with pytest.raises(ValueError):
        Rules(**options)


def test_too_many_columns_for_the_rows():
    with pytest.raises(ReleaseRefused, match="9 columns .* on 27 persons are 0.33 columns"):
        summarise(rows(sites()[0], 27), site="a")
    summarise(rows(sites()[0], 28), site="a")


@pytest.mark.parametrize(("role", "name"), [("exposure", "dose"), ("outcome", "score")])
def test_a_constant_exposure_or_outcome(role, name):
    data = dataclasses.replace(sites()[0], **{role: np.ones(60)})
    with pytest.raises(ReleaseRefused, match=f"the {role} '{name}' is constant"):
        summarise(data, site="a")


@pytest.mark.parametrize("role", ["exposure", "outcome", "covariate", "mediator"])
@pytest.mark.parametrize("ones", [4, 56])
@pytest.mark.parametrize("values", [(0.0, 1.0), (1.0, 2.0)])
def test_a_small_class(role, ones, values):
    data = sites(q=1)[0]
    column = np.where(np.arange(60) < ones, values[1], values[0])
    if role == "covariate":
        data = with_covariate(data, column)
    elif role == "mediator":
        mediators = data.mediators.copy()
        mediators[:, 2] = column
        data = dataclasses.replace(data, mediators=mediators)
    else:
        data = dataclasses.replace(data, **{role: column})
    with pytest.raises(ReleaseRefused, match="4 persons with one of its values"):
        summarise(data, site="a")
    try:
        summarise(data, site="a", min_cell=4)
    except ReleaseRefused as error:  # of four persons one may still be too much of a product
        assert "of the sum of products" in str(error)


def test_three_values_give_their_counts_away_too():
    data = with_covariate(sites(q=1)[0], np.repeat([0.0, 1.0, 2.0], [30, 27, 3]))
    with pytest.raises(ReleaseRefused, match="'flag': 3 persons with one of its values"):
        summarise(data, site="a")


def test_a_small_cell_of_two_columns():
    one, two = np.repeat([0.0, 1.0], 30), np.tile([0.0, 1.0], 30)
    two[:30] = np.repeat([0.0, 1.0], [2, 28])
    data = with_covariate(dataclasses.replace(sites(q=1)[0], exposure=one), two)
    with pytest.raises(ReleaseRefused, match="2 persons in one of their cells"):
        summarise(data, site="a")
    # An empty cell says something of nobody in particular and is allowed.
    two[:30] = 1
    summarise(with_covariate(dataclasses.replace(sites(q=1)[0], exposure=one), two), site="a")


@pytest.mark.parametrize("levels", [(3, 19, 19, 19), (3, 37, 10, 10)])
def test_the_level_left_out_of_a_categorical_covariate(levels):
    level = np.repeat([0, 1, 2, 3], levels)
    data = sites(q=1)[0]
    for j in (1, 2, 3):
        data = with_covariate(data, (level == j) * 1.0, f"ward[{j}]")
    with pytest.raises(ReleaseRefused, match="'ward, level left out': 3 persons with one"):
        summarise(data, site="a")


@pytest.mark.parametrize("label", ["", "a b", "../a", "x" * 65, None])
def test_labels_that_cannot_name_a_column(label):
    with pytest.raises(ValueError, match="site labels are"):
        summarise(sites()[0], site=label)


def test_missing_values_and_weights_under_noise():
    data = sites()[0]
    broken = dataclasses.replace(data, outcome=np.where(np.arange(60) == 3, np.nan, data.outcome))
    with pytest.raises(InvalidDataError, match="NaN"):
        summarise(broken, site="a")
    columns = summarise(data, site="a").columns
    noise = noise_for(columns, dict.fromkeys(columns, (0, 9)), epsilon=1, delta=1e-5, clip=4)
    with pytest.raises(InvalidDataError, match="case weights"):
        summarise(sites(weighted=True)[0], site="a", noise=noise)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e200])
@pytest.mark.parametrize("role", ["exposure", "outcome", "mediators", "covariates"])
def test_values_that_have_no_moments(role, value):
    data = sites()[0]
    column = getattr(data, role).copy()
    column[3] = value
    with pytest.raises(InvalidDataError, match=r"NaN|leave the range"):
        summarise(dataclasses.replace(data, **{role: column}), site="a")
