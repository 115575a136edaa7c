"""The bundled proteome as the analyses of the tests use it."""

import pytest

from jaxmed import datasets, from_frame_with_report

SMALL = {"permutations": 199, "replicates": 1000}


def proteome(mediators, outcome="hospital_free_days_45"):
    pytest.importorskip("pandas", reason="the bundled data are read with pandas")
    return from_frame_with_report(
        datasets.load("covid_plasma_proteome"),
        exposure="age",
        outcome=outcome,
        mediators=mediators,
        covariates=["male"],
        where="covid == 1",
    )


def abundant():
    features = datasets.features("covid_plasma_proteome")
    return list(features["column"][features["abundance_rank"] <= 50])
