"""The command line: files in, reports out, errors in one line with exit status 2."""

import json

import numpy as np
import pytest
from problems import problem

from jaxmed.cli import main

pandas = pytest.importorskip("pandas", reason="the command line reads tables with pandas")
pytest.importorskip("matplotlib", reason="the report needs matplotlib")
FAST = ["--permutations", "19", "--folds", "0", "--replicates", "100", "--quiet"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    data = problem(np.random.default_rng(2), 90, 4, 1, scale=0.0)
    frame = pandas.DataFrame(data.mediators, columns=["m_a", "m_b", "m_c", "m,d"])
    frame["dose"], frame["score"] = data.exposure, data.outcome
    frame["c"], frame["site"] = data.covariates[:, 0], np.arange(90) % 3
    path = tmp_path_factory.mktemp("cli") / "rows.csv.gz"
    frame.to_csv(path, index=False)
    return path


def roles(table, *more):
    columns = ["--exposure", "dose", "--outcome", "score", "--mediators", "m*"]
    return [str(table), *columns, "--covariates", "c", *more]


def test_mediate_writes_every_report_and_progress_to_stderr(table, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("jaxmed.reports.figures.PNG_DPI", 20)  # the same drawing, faster
    out = tmp_path / "report"
    more = ["--where", "site != 2", "--seed", "7", "--out", str(out), "--basis", "linear"]
    assert main(["mediate", *roles(table, *more), *FAST[:-1]]) == 0
    seen = capsys.readouterr()
    assert "dose" in seen.out
    assert "fitting 4 mediators" in seen.err and "fitting" not in seen.out
    document = json.loads((out / "result.json").read_text())
    assert document["settings"]["seed"] == 7
    assert document["settings"]["basis"] == "linear"
    assert document["data"]["source"]["rows_where"] == 60
    mediators = pandas.read_csv(out / "mediators.csv")
    assert list(mediators["name"]) == ["m_a", "m_b", "m_c", "m,d"]
    html = (out / "report.html").read_text()
    assert "m,d" in html and "<script" not in html
    assert {p.suffix for p in (out / "figures").iterdir()} == {".png", ".svg"}


def test_evaluate(table, tmp_path, capsys):
    more = ["--methods", "maxie,maxcor", "--holdout", "0.5", "--basis", "linear", "--quiet"]
    assert main(["evaluate", *roles(table, *more), "--out", str(tmp_path)]) == 0
    assert "test rows" in capsys.readouterr().out
    assert len(pandas.read_csv(tmp_path / "evaluation.csv")) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--exposure", "dosis"], "dose"),
        (["--where", "site = 2"], "character 6"),
        (["--seed", "-1"], "between 0 and 2"),
        (["--method", "maxi"], "maxie"),
        (["--contrast", "a"], "REFERENCE,TREATED"),
    ],
)
def test_errors_are_one_line_and_exit_status_two(table, capsys, change, message):
    assert main(["mediate", *roles(table), *FAST, *change]) == 2
    error = capsys.readouterr().err
    assert error.startswith("jaxmed: ") and message in error
    assert "Traceback" not in error


def test_a_missing_file_is_named(capsys):
    assert main(["mediate", *roles("no_such_file.csv"), *FAST]) == 2
    assert "no_such_file.csv" in capsys.readouterr().err


def test_compare(table, tmp_path, capsys):
    more = ["--methods", "reg_outcome,ols", "--bootstrap", "4", "--seed", "7", "--quiet"]
    more += ["--level", "0.9"]
    sets = ["--covariates-outcome", "c,site", "--out", str(tmp_path)]
    assert main(["compare", *roles(table, *more, *sets)]) == 0
    heard = capsys.readouterr()
    assert "jaxmed: warning: Reg Y~X: takes one set of covariates" in heard.err
    seen = heard.out
    assert "OLS, all mediators" in seen and "one set of covariates" in seen
    document = json.loads((tmp_path / "compare.json").read_text())
    assert document["settings"]["seed"] == 7
    assert document["settings"]["level"] == 0.9
    assert document["settings"]["covariates_mediator"] == ["c"]
    assert document["settings"]["covariates_outcome"] == ["c", "site"]
    found = pandas.read_csv(tmp_path / "compare.csv").set_index("method")
    assert found.loc["ols", "resamples"] == 4 and found.loc["reg_outcome", "status"] == "STOPPED"
    assert len(pandas.read_csv(tmp_path / "compare_mediators.csv")) == 8
    assert (tmp_path / "compare.svg").exists() and (tmp_path / "report.html").exists()


def test_compare_passes_on_what_is_asked_for(table, tmp_path, monkeypatch, capsys):
    calls = {}

    class Found:
        def summary(self):
            return "the summary"

        def save(self, directory, figures):
            calls.update(saved=directory)
            return []

    def fake(data, methods, **settings):
        calls.update(settings, methods=methods)
        return Found()

    monkeypatch.setattr("jaxmed.cli.compare.compare", fake)
    more = ["--methods", "hdma,ols", "--options", "hdma.n_include=60", "ols.variance=path_sum"]
    assert main(["compare", *roles(table, *more), "--options", "hdma.adjust=bh"]) == 0
    assert calls["options"] == {
        "hdma": {"n_include": 60, "adjust": "bh"},
        "ols": {"variance": "path_sum"},
    }
    assert calls["bootstrap"] == 0 and calls["methods"] == ("hdma", "ols")
    assert "the summary" in capsys.readouterr().out and "saved" not in calls
    assert main(["compare", *roles(table, *more), "--out", str(tmp_path), "--resume"]) == 0
    assert calls["saved"] == tmp_path
    assert f"0 finished methods in {tmp_path / 'partial'}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--options", "ols.varianse=hc2"], "ols has no option 'varianse'; it has variance"),
        (["--options", "ols.level=0.9"], "--level is one for all methods: it is no option of ols"),
        (["--options", "ols.variance=hc9"], "ols does not take variance='hc9': it is "),
        (["--options", "hima.n_include=9"], "--options hima: no such method among --methods ols"),
        (["--options", "ols"], "METHOD.OPTION=VALUE, as in hdma.n_include=60, not 'ols'"),
        (["--resume"], "--resume goes on from the files of --out DIR"),
    ],
)
def test_options_of_methods_are_refused_in_a_line(table, capsys, more, said):
    assert main(["compare", *roles(table, "--methods", "ols", "--quiet", *more)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("jaxmed: ") and said in error and len(error.splitlines()) == 1


def test_compare_names_the_methods_there_are(table, capsys):
    assert main(["compare", *roles(table, "--methods", "himma", "--quiet")]) == 2
    assert "hima" in capsys.readouterr().err


def test_the_old_method_effects_of_the_command_line(table, monkeypatch, capsys):
    calls = {}

    class Result:
        def summary(self):
            return "the summary"

        def save(self, directory, figures):
            calls.update(directory=directory, figures=figures)
            return []

    def fake(data, **settings):
        calls.update(settings)
        return Result()

    monkeypatch.setattr("jaxmed.cli.analyses.effects", fake)
    more = ["--method", "effects", "--assume", "sparse", "--out", "there", "--level", "0.8"]
    assert main(["mediate", *roles(table, *more, "--quiet", "--no-figures")]) == 0
    assert calls["level"] == 0.8
    assert calls["assume"] == "sparse" and not calls["figures"]
    assert "the summary" in capsys.readouterr().out
    assert main(["mediate", *roles(table, "--effects", "ols", "--assume", "dense")]) == 2
