"""What the study of the simulated biobank shows."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxmed.reports.format import interval
from jaxmed.reports.sections import Section, TidyTable
from jaxmed.reports.study_figures import panels_figure
from jaxmed.simulate.biobank import Biobank, biobank, biobank_truth
from jaxmed.statistics.score_ranks import GROUPS
from jaxmed.studies.optimal_composite.columns import pair
from jaxmed.studies.optimal_composite.holdout import METHODS
from jaxmed.studies.optimal_composite.table_4 import (
    fifths_panel,
    scatter_panel,
    table_4,
    tracking_panel,
)

__all__ = ["SMALL_ROWS", "report", "small_model"]

SMALL_ROWS, SMALL_MEDIATORS = 4_000, 304


def small_model() -> Biobank:
    """The biobank that is drawn again and again: the paper's ratio of persons to proteins."""
    return biobank(jax.random.key(0), SMALL_MEDIATORS, dtype=jnp.float32)


def report(results: Mapping[str, Any], once: Mapping[str, Any]) -> Sequence[Section]:
    """Sections of the study's page."""
    return [
        _table_section(once),
        _population_section(once),
        _figure_section(once),
        _repeated_section(results["small"]),
    ]


def _repeated_section(small: Mapping[str, Any]) -> Section:
    columns = {"method": "method", "train": "training rows", "test": "test rows"}
    columns |= {"population": "population", "optimum": "optimum"}
    optimum = float(biobank_truth(small_model()).concordant)
    rows = [
        {
            "method": METHODS[method],
            "train": pair(small[f"{method}/train indirect"]),
            "test": pair(small[f"{method}/test indirect"]),
            "population": pair(small[f"{method}/population"]),
            "optimum": optimum,
        }
        for method in ("maxie", "maxcor")
    ]
    text = (
        f"{SMALL_ROWS:,} persons and {SMALL_MEDIATORS} proteins, 13 persons to a protein as in the "
        "paper, drawn anew in every replicate. On average the training rows overstate by a "
        "factor that depends on the ratio of persons to proteins; the test rows give the effect "
        "of the composite that was learned, which falls short of the optimum.",
    )
    note = "Mean indirect effect, probability of the diagnosis per year of age."
    return Section("optimism", "Optimism, repeated", text, TidyTable(columns, rows, note))


def _lookup(once: Mapping[str, Any]) -> Any:
    def ours(method: str, part: str, measure: str) -> float:
        return once["judged"][method][part][measure]

    return ours


def _table_section(once: Mapping[str, Any]) -> Section:
    sizes, cases, cosine = once["sizes"], once["cases"], once["test_of_alignment"]
    text = (
        f"{sizes['n']:,} simulated persons, {sizes['p']:,} proteins in correlated blocks, age -> "
        "proteins -> a rare diagnosis; "
        f"{sizes['train']:,} training rows with {cases['train']:,} cases, {sizes['test']:,} test "
        f"rows with {cases['test']:,}. At scale 1 the size is the paper's, 38,383 and 2,916. The "
        "generator (simulate.biobank) sets the strengths of both paths and their angle so that "
        "the population is near the paper's test column; the prevalence is 2.5 %, ours, as the "
        "paper's is lost in our copy.",
        f"Cosine test on the training rows: cosine {cosine['cosine']:.3f}, T = "
        f"{cosine['statistic']:.2f}, p = {cosine['p_value']:.2g}; joint test p = "
        f"{cosine['joint_p_value']:.2g}.",
        "Both lassos are linear, with 5-fold cross-validation at the least loss. The paper's "
        "reading that a proportion mediated above 1 is suppression by the composite holds for the "
        "sign of the direct effect only: the composite is concordant, and what it leaves to age "
        "is negative because the composite was chosen to overshoot.",
    )
    note = (
        "Ours: one simulated data set and one split, so that there is no Monte Carlo error; the "
        "intervals below are those of sampling. Effects are probability per year of age. Paper: "
        "He (2026), Table 4, UK Biobank: other data, not for comparison of digits."
    )
    return Section("table-4", "Table 4 layout", text, table_4(_lookup(once), note, auc=True))


def _population_section(once: Mapping[str, Any]) -> Section:
    population = once["population"]
    columns = {
        "method": "method",
        "train": "training rows",
        "test": "test rows",
        "interval": "95 % interval (test)",
        "population": "population",
        "share": "share of the optimum",
        "selected": "proteins",
    }
    rows = []
    for method, name in METHODS.items():
        judged = once["judged"][method]
        rows.append(
            {
                "method": name,
                "train": judged["train"]["indirect"],
                "test": judged["test"]["indirect"],
                "interval": interval(judged["test"]["lower"], judged["test"]["upper"]),
                "population": population[method],
                "share": population[method] / population["optimal"],
                "selected": once["selected"][method],
            }
        )
    rows.append({"method": "optimum", "population": population["optimal"], "share": 1.0})
    text = (
        "What the paper cannot know of its data and a simulation does: the population effect of "
        "each learned composite, and the best possible. The training column overstates, most of "
        "all for the composite that maximises it; the test column is unbiased for the composite it "
        "judges, which is worse than the optimum.",
        f"Truth: total effect {population['total']:.4f} per year, through all proteins jointly "
        f"{population['total_indirect']:.4f}, concordant part {population['concordant']:.4f}, "
        f"suppression part {population['suppression']:.4f}, cosine {population['cosine']:.2f}.",
    )
    note = "Indirect effect, probability of the diagnosis per year of age."
    return Section("population", "Against the truth", text, TidyTable(columns, rows, note))


def _figure_section(once: Mapping[str, Any]) -> Section:
    ours = _lookup(once)
    columns = {"method": "method", "tracking": "R² of age", "auc": "AUC"}
    columns |= {f"fifth_{g}": f"fifth {g}" for g in range(1, GROUPS + 1)}
    rows = [
        {"method": name, **{k: ours(method, "test", k) for k in list(columns)[1:]}}
        for method, name in METHODS.items()
    ]
    rows.append({"method": "age itself", "tracking": 1.0, "auc": once["age_auc"]})
    text = (
        "Panel (c) shows age itself too, which the paper's figure leaves out: it tracks age "
        "perfectly and predicts the diagnosis about as well as an ageing clock does. What a "
        "composite adds to age is in panel (b).",
    )
    caption = (
        "(a) MaxIE composite against age, test rows, at most 400 persons of either status. (b) "
        "Prevalence by fifths of the composite given age, test rows. (c) R² of age and composite "
        "against AUC, test rows. Bars: 95 % binomial intervals."
    )
    return Section(
        "figure-4",
        "Figure 4",
        text,
        TidyTable(columns, rows, "Test rows of one data set."),
        lambda: _figure(once),
        caption,
    )


def _figure(once: Mapping[str, Any]) -> Any:
    ours, points = _lookup(once), once["points"]
    fifth = once["sizes"]["test"] / GROUPS

    def with_errors(method: str, part: str, measure: str) -> tuple[float, float]:
        share = ours(method, part, measure)
        return share, (share * (1 - share) / fifth) ** 0.5

    panels = [
        scatter_panel(points["age"], points["score"], points["case"], ("controls", "cases")),
        fifths_panel(with_errors, "prevalence"),
        tracking_panel(ours, once["age_auc"], "the diagnosis"),
    ]
    return panels_figure([panels], width=13.0, height=4.2)
