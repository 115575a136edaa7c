"""One basis of the covariates in every command: one total effect, and what is said about it."""

import dataclasses
import json
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest
from confounded import confounded
from proteome import abundant, proteome

import jaxmed
from jaxmed import Names, ShapeError, covariate_basis
from jaxmed.analysis.basis_effects import design_block
from jaxmed.analysis.design import designed
from jaxmed.analysis.effects import effects
from jaxmed.analysis.least_squares import least_squares
from jaxmed.reports.evaluation import summary_of_evaluation

FAST = {"key": 1, "permutations": 0, "folds": 0, "replicates": 100, "effects": ()}
# Methods, rows, mediators and linear covariates are those of `test_streamed`: the same programs.
CLOSED = ("maxie", "maxcor", "reg_outcome", "reg_exposure")
PBC = Path(__file__).parents[1] / "reference" / "pbc" / "pbc.csv"


def simulated(n, p, continuous, factors, seed=0):
    """Exposure, mediators and outcome of numbers, a 0/1 covariate and factors of so many levels."""
    rng = np.random.default_rng(seed)
    x = 40 + 9 * rng.normal(size=(n, continuous))
    sex = rng.integers(0, 2, n)
    names, groups, levels = [f"x{j}" for j in range(continuous)] + ["sex"], [], []
    for i, count in enumerate(factors):
        group = tuple(f"f{i}[{level}]" for level in range(1, count))
        groups.append(group)
        names += group
        levels.append(rng.integers(0, count, n)[:, None] == np.arange(1, count))
    covariates = np.column_stack([x, sex, *levels]).astype(float)
    load = rng.normal(size=covariates.shape[1]) / (1 + covariates.std(axis=0))
    exposure = covariates @ load + rng.normal(size=n)
    mediators = 0.4 * exposure[:, None] + (covariates @ load)[:, None] + rng.normal(size=(n, p))
    outcome = 0.5 * exposure + mediators[:, :3].sum(axis=1) + rng.normal(size=n)
    full = Names(
        mediators=tuple(f"m{j}" for j in range(p)), covariates=tuple(names), groups=tuple(groups)
    )
    return jaxmed.mediation_data(exposure, mediators, outcome, covariates, names=full)


def coefficient(outcome, *columns):
    """Of the first of the columns, by `numpy.linalg.lstsq` with an intercept."""
    design = np.column_stack([np.ones(len(outcome)), *columns])
    return np.linalg.lstsq(design, outcome, rcond=None)[0][1]


def commands(data, methods=("ols", "hima")):
    """What every command says of the data: mediate, effects, compare, evaluate.

    Args:
      data: rows.
      methods: of `compare`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        many = jaxmed.mediate(data, composites=("maxie",), **FAST)
        effect = effects(data, key=1)
        several = jaxmed.compare(data, methods, key=1, bootstrap=0)
        judged = jaxmed.evaluate(data, ["maxie"], key=1, holdout=0.5)
    return many, effect, several, judged


def totals(many, effect, several, judged):
    """The total effect of every command, and their documents."""
    found = {
        "mediate": many.record.effect("total_effect")["estimate"],
        "effects": effect.rows[0]["total"],
        "evaluate": judged.document["data"]["total"]["whole"]["estimate"],
    }
    found |= {f"compare {row['method']}": row["total"] for row in several.rows}
    documents = (many.record.document, effect.document, several.document, judged.document)
    return found, documents


@pytest.fixture(scope="module")
def mixed():
    """Numbers and a factor, and what every command says of them."""
    data = simulated(300, 6, 2, [4])
    return data, commands(data, ("ols",))  # others have its total too: tests/conformance


@pytest.fixture(scope="module")
def plainly(mixed):
    """The record of the same data with their linear covariates."""
    return jaxmed.mediate(mixed[0], composites=CLOSED, **FAST, basis="linear").record


@pytest.mark.slow
def test_factors_alone_are_linear_in_every_command():
    # As many columns as `mixed` has with its basis: the same programs.
    data = simulated(300, 6, 0, [9, 9])
    found, documents = totals(*commands(data))
    expected = coefficient(data.outcome, data.exposure, data.covariates)
    assert data.covariates.shape[1] == 17
    for command, value in found.items():
        assert abs(value - expected) < 1e-10, command
    for document in documents:
        assert document["design"]["rank"] == 18 and document["design"]["basis"] == "linear"
        assert document["design"]["linear"] is None and document["settings"]["basis"] == "auto"
    assert documents[1]["choice"]["methods"] == ["ols"]


def test_numbers_and_factors_have_the_total_of_their_columns(mixed):
    data, results = mixed
    found, documents = totals(*results)
    design = covariate_basis(data)
    assert design.basis == "splines" and design.rank == 18
    expected = coefficient(data.outcome, data.exposure, design.columns)
    plain = coefficient(data.outcome, data.exposure, data.covariates)
    for command, value in found.items():
        assert abs(value - expected) < 1e-10, command
    for document in documents:
        assert document["design"]["columns"] == list(design.names)
        assert abs(document["design"]["linear"]["total"]["estimate"] - plain) < 1e-10


@pytest.mark.slow
def test_the_default_answers_where_splines_of_everything_had_no_room():
    data = simulated(85, 6, 5, [])  # so few mediators that least squares stands alone
    found = effects(data, key=1)
    design = found.document["design"]
    assert (design["basis"], design["rank"]) == ("quadratic", 12)
    assert found.document["data"]["basis_columns"] == 12
    assert found.methods[0] == "ols" and found.rows[0]["status"] == "OK"
    assert np.isfinite(found.rows[0]["indirect_lower"])
    plain = effects(data, key=1, basis="linear").rows[0]
    direct = coefficient(data.outcome, data.exposure, data.mediators, data.covariates)
    total = coefficient(data.outcome, data.exposure, data.covariates)
    for part, expected in (("direct", direct), ("total", total), ("indirect", total - direct)):
        assert abs(plain[part] - expected) < 1e-8
        assert abs(design["linear"][part]["estimate"] - expected) < 1e-8
    many = jaxmed.mediate(data, composites=("maxie",), **FAST, basis="linear").record
    assert abs(many.effect("direct_effect")["estimate"] - direct) < 1e-8
    assert many.document["design"]["chosen_by"] == "request"


@pytest.mark.slow
def test_many_covariates_and_three_factors_agree():
    found, documents = totals(*commands(simulated(1152, 40, 22, [3, 4, 5])))
    values = np.asarray(list(found.values()))
    assert np.ptp(values) < 1e-9, found
    assert len({json.dumps(d["design"]["columns"]) for d in documents}) == 1


@pytest.mark.slow
def test_bundled_data_agree():
    data = proteome(abundant())[0]
    found, documents = totals(*commands(data))
    assert np.ptp(list(found.values())) < 1e-9, found
    expected = coefficient(data.outcome, data.exposure, data.covariates)
    assert documents[0]["design"]["basis"] == "linear"  # one 0/1 covariate
    assert abs(found["mediate"] - expected) < 1e-9


def pbc():
    table = np.genfromtxt(PBC, delimiter=",", names=True)
    covariates = np.column_stack([table[name] for name in ("age", "male", "stage")])
    names = Names("trt", "alk_phos", ("bili",), ("age", "male", "stage"))
    return jaxmed.mediation_data(
        table["trt"], table["bili"][:, None], table["alk_phos"], covariates, names=names
    )


@pytest.mark.slow
def test_linear_covariates_reproduce_the_published_analysis():
    # regmedint 1.0.1, reference_results/sas-mreg_linear_yreg_linear_int_f_caco_f_ncvar3.lst: a SAS
    # macro for the contrast 1.1 -> 2.3, thus divided by 1.2.
    row = effects(pbc(), key=1, basis="linear").rows[0]
    for part, printed in (("direct", -98.057), ("total", -56.850), ("indirect", 41.207)):
        assert abs(row[part] - printed) < 6e-4
    document = effects(pbc(), key=1).document
    assert document["design"]["basis"] != "linear"
    assert abs(document["design"]["linear"]["total"]["estimate"] + 56.850) < 6e-4
    summary = effects(pbc(), key=1).summary()
    assert "with linear covariates: total -56.9" in summary.replace("\n", " ")


PEER = jax.jit(jaxmed.estimators.ols())


@pytest.mark.parametrize("weighted", [False, True])
def test_least_squares_on_the_host_is_the_estimator(mixed, weighted):
    data = mixed[0]
    if weighted:
        times = np.random.default_rng(4).integers(0, 4, 300).astype(float)
        data = dataclasses.replace(data, weights=times)
    design = covariate_basis(data)
    found = least_squares(data, design.columns)
    # Without weights the peer has ones, which say the same: one program.
    weights = design.data.weights if weighted else np.ones(300)
    peer = PEER(None, dataclasses.replace(design.data, names=Names(), weights=weights))
    for part in ("total", "direct", "indirect"):
        np.testing.assert_allclose(getattr(found, part), getattr(peer.effects, part), rtol=1e-9)
        error = getattr(peer.standard_errors, part)
        np.testing.assert_allclose(getattr(found, f"{part}_se"), error, rtol=1e-8)
        shown = found.to_dict(0.95)[part]
        interval = getattr(peer.intervals, part)
        np.testing.assert_allclose(shown["lower"], interval.lower, rtol=1e-7)
    np.testing.assert_allclose(found.df, peer.details.df)


def test_the_linear_line_of_mediate_is_what_mediate_says_of_linear_covariates(mixed, plainly):
    """Intervals included: equal error variances, as most software has them."""
    line = mixed[1][0].record.document["design"]["linear"]
    plain = plainly
    for part in ("total", "direct"):
        expected = plain.effect(f"{part}_effect")
        for key in ("estimate", "standard_error", "lower", "upper"):
            np.testing.assert_allclose(line[part][key], expected[key], rtol=1e-8)
    indirect = plain.effect("total_indirect")["estimate"]
    np.testing.assert_allclose(line["indirect"]["estimate"], indirect, rtol=1e-8)


def test_least_squares_without_room_or_rank_has_the_total_alone():
    data = simulated(60, 70, 1, [])
    found = least_squares(data, data.covariates)
    assert found.parts == ("total",) and np.isnan(found.direct)
    expected = coefficient(data.outcome, data.exposure, data.covariates)
    assert abs(found.total - expected) < 1e-10
    few = simulated(60, 4, 1, [])
    shares = np.c_[few.mediators, few.mediators.sum(axis=1)]
    dependent = dataclasses.replace(few, mediators=shares)
    # A mediator more that is the sum of the others changes nothing; with the exposure in it, all.
    spanned, plain = (least_squares(d, few.covariates) for d in (dependent, few))
    np.testing.assert_allclose(
        [spanned.direct, spanned.direct_se, spanned.df], [plain.direct, plain.direct_se, plain.df]
    )
    with_exposure = dataclasses.replace(
        few, mediators=np.c_[few.mediators, few.mediators[:, 0] + few.exposure]
    )
    assert least_squares(with_exposure, few.covariates).parts == ("total",)


def test_summaries_say_the_covariates(mixed):
    data, (*others, judged) = mixed
    sentence = covariate_basis(data).sentence()
    for text in (*(found.summary() for found in others), summary_of_evaluation(judged.document)):
        flat = " ".join(text.split())
        assert f"{sentence} with linear covariates: total " in flat


def test_the_report_shows_the_covariates(mixed, tmp_path):
    pytest.importorskip("jinja2")
    mixed[1][1].save(tmp_path, figures=False)
    page = (tmp_path / "report.html").read_text()
    assert "basis splines (auto; 300 rows)" in page and "with linear covariates" in page
    stored = json.loads((tmp_path / "effects.json").read_text())
    assert stored["design"]["rank"] == 18


def test_dependent_covariates_are_named_and_change_nothing(mixed):
    data, (_, alone, *_) = mixed
    more = np.c_[data.covariates, data.covariates[:, 3:6].sum(axis=1)]
    names = dataclasses.replace(data.names, covariates=(*data.names.covariates, "f0[0]"))
    twice = jaxmed.mediation_data(data.exposure, data.mediators, data.outcome, more, names=names)
    with pytest.warns(UserWarning, match="is a function of the others: left out"):
        found = effects(twice, key=1)
    assert found.document["design"]["dropped"] == {
        "f0[0]": "f0[0] is a function of the others: left out"
    }
    assert "f0[0] is a function of the others: left out" in found.document["warnings"]
    assert found.rows[0]["total"] == pytest.approx(alone.rows[0]["total"], abs=1e-12)
    assert found.document["choice"]["reason"] == alone.document["choice"]["reason"]
    with pytest.warns(UserWarning, match="left out"):
        many = jaxmed.mediate(twice, composites=("maxie",), **FAST)
    assert many.record.effect("total_effect")["estimate"] == pytest.approx(
        alone.rows[0]["total"], abs=1e-10
    )


def test_a_basis_without_room_names_the_one_that_has():
    data = simulated(85, 30, 7, [])
    for command in (
        lambda: effects(data, key=1, basis="splines"),
        lambda: jaxmed.mediate(data, **FAST, basis="splines"),
        lambda: jaxmed.compare(data, ["ols"], key=1, bootstrap=0, basis="splines"),
        lambda: jaxmed.evaluate(data, ["maxie"], key=1, basis="splines"),
    ):
        with pytest.raises(ShapeError, match='85 rows are too few for 30 .* basis="linear"'):
            command()
    small = confounded(np.random.default_rng(0), 85, "linear")
    with pytest.raises(ValueError, match='28 of each are needed, 18 with basis="linear"'):
        jaxmed.evaluate(small, ["maxie"], key=1)
    few = simulated(9, 2, 6, [])
    with pytest.raises(ShapeError, match="8 covariate columns.* at least 10 rows"):
        jaxmed.mediate(few, **FAST)
    with pytest.raises(ValueError, match="basis must be"):
        effects(data, key=1, basis="cubic")


def test_separate_covariates_get_their_own_columns():
    data = simulated(300, 6, 2, [4])
    found = effects(
        data,
        key=1,
        basis="second_degree",
        covariates_mediator=["x0", "sex"],
        covariates_outcome=None,
    )
    design = covariate_basis(data, "second_degree")
    mediator = design.columns[:, list(design.positions([0, 2]))]
    outcome = coefficient(data.outcome, data.exposure, data.mediators, design.columns)
    assert abs(found.rows[0]["direct"] - outcome) < 1e-9
    alpha = [coefficient(column, data.exposure, mediator) for column in data.mediators.T]
    np.testing.assert_allclose(found.mediators["alpha"], alpha, rtol=1e-8)
    assert found.document["settings"]["covariates_mediator"] == ["x0", "sex"]
    assert found.document["design"]["linear"] is None  # nothing is compared


def test_moments_are_linear_and_say_so(mixed, plainly):
    data, rows = mixed[0], plainly
    named = jaxmed.cross_moments(data)
    options = {"key": 1, "replicates": 100}
    found = jaxmed.mediate(named, composites=CLOSED, **options).record
    design = found.document["design"]
    assert (design["basis"], design["rank"], design["linear"]) == ("linear", 7, None)
    assert design["columns"] == list(data.names.covariates)
    for quantity in ("total_effect", "direct_effect", "total_indirect"):
        assert found.effect(quantity)["estimate"] == pytest.approx(
            rows.effect(quantity)["estimate"], abs=1e-9
        )
    with pytest.raises(ValueError, match='moments take covariates as they are.*basis="linear"'):
        jaxmed.mediate(named, **options, basis="splines")


def test_moments_leave_dependent_covariates_out_by_name(mixed):
    data = mixed[0]
    extra = np.c_[data.covariates, data.covariates[:, 0] + data.covariates[:, 2], np.full(300, 7.0)]
    names = dataclasses.replace(data.names, covariates=(*data.names.covariates, "both", "batch"))
    more = jaxmed.mediation_data(data.exposure, data.mediators, data.outcome, extra, names=names)
    options = {"key": 1, "replicates": 100}
    with pytest.warns(UserWarning, match="batch is constant"):
        found = jaxmed.mediate(jaxmed.cross_moments(more), composites=CLOSED, **options).record
    plain = jaxmed.mediate(jaxmed.cross_moments(data), composites=CLOSED, **options).record
    assert found.document["design"]["dropped"] == covariate_basis(more).dropped
    assert set(found.document["design"]["dropped"]) == {"both", "batch"}
    assert set(found.document["design"]["dropped"].values()) <= set(found.document["warnings"])
    for quantity in ("total_effect", "concordant"):
        assert found.effect(quantity)["estimate"] == pytest.approx(
            plain.effect(quantity)["estimate"], rel=1e-10
        )


def test_the_basis_matters_where_a_product_confounds():
    data = confounded(np.random.default_rng(5), 500, "product")
    with pytest.warns(UserWarning, match="basis of the covariates matters"):
        found = effects(data, key=1, basis="quadratic")
    matters = found.document["design"]["matters"]
    assert matters["moved"] and matters["basis"] == "second_degree"
    assert 'Choose basis="second_degree"' in matters["sentence"]
    assert matters["sentence"] in found.document["warnings"]
    assert matters["sentence"] in " ".join(found.summary().split())
    enough = design_block(designed(data, "second_degree"), data, 0.95)["matters"]
    assert not enough["moved"] and enough["basis"] == "splines"
    richer = least_squares(data, covariate_basis(data, "second_degree").columns)
    assert matters["indirect"]["estimate"] == richer.indirect


def test_nothing_is_compared_without_residuals():
    data = simulated(60, 48, 1, [])
    assert design_block(designed(data, "linear"), data, 0.95)["matters"] is None
    richest = simulated(400, 3, 1, [])
    assert design_block(designed(richest, "splines"), richest, 0.95)["matters"] is None
