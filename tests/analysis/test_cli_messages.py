"""The command line speaks of its own options, and shows a traceback only when asked."""

import re

import jax
import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

from jaxmed.cli import main  # noqa: E402
from jaxmed.cli.wording import at_the_terminal  # noqa: E402

KNOWN = {
    "nan_policy",
    "contrast",
    "decimal",
    "na",
    "factor",
    "merge_rare",
    "basis",
    "memory",
    "sep",
    "folds",
    "precision",
    "standardise",
    "min_rows",
}


@pytest.mark.parametrize(
    ("python", "terminal"),
    [
        ('leave these out with nan_policy="drop"', "leave these out with --nan-policy drop"),
        ("two with contrast=(reference, treated)", "two with --contrast REFERENCE,TREATED"),
        ('read with decimal=","', "read with --decimal ,"),
        ('missing, na="n.d."; factor="my site"', "missing, --na n.d.; --factor 'my site'"),
        ("merged with merge_rare=5", "merged with --merge-rare 5"),
        ('choose basis="linear", or fewer', "choose --basis linear, or fewer"),
        ("allow more with memory=BYTES", "allow more with --memory BYTES"),
        ("folds must be at least 0", "--folds must be at least 0"),
        ("min_rows is at least 10", "--min-rows is at least 10"),
        (
            'enable float64 with jax.config.update("jax_enable_x64", True), or rescale',
            "use --precision float64, or rescale",
        ),
        ("other=3 stays, p = 0.05 too", "other=3 stays, p = 0.05 too"),
    ],
)
def test_settings_are_named_as_options(python, terminal):
    assert at_the_terminal(python, KNOWN.__contains__) == terminal


@pytest.fixture
def arguments(tmp_path):
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame(rng.normal(size=(30, 4)), columns=["x", "y", "m1", "m2"])
    frame.to_csv(tmp_path / "t.csv", index=False)
    roles = ["--exposure", "x", "--outcome", "y", "--mediators", "m*", "--quiet"]
    return ["mediate", str(tmp_path / "t.csv"), *roles]


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (MemoryError("9 GiB"), 2, r"out of memory \(9 GiB\): fewer"),
        (OverflowError("int too large"), 2, "a number is too large"),
        (jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: 1 TiB"), 2, "out of memory .*1 TiB"),
        (jax.errors.JaxRuntimeError("INTERNAL: no kernel"), 1, "a compiled program failed"),
        (ZeroDivisionError("division"), 1, "ZeroDivisionError: .* fault of jaxmed.*--traceback"),
        (KeyError("no method 'a'"), 2, "no method 'a'"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_no_error_shows_a_traceback_unless_asked(
    arguments, monkeypatch, capsys, error, status, said
):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr("jaxmed.cli.analyses.open_file", fails)
    assert main(arguments) == status
    heard = capsys.readouterr().err
    assert re.search(f"^jaxmed: .*{said}|^jaxmed: {said}", heard) and "Traceback" not in heard
    if not isinstance(error, KeyboardInterrupt):
        with pytest.raises(type(error)):
            main([*arguments, "--traceback"])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--replicates", "10000000000000"], "--replicates is 10,000,000,000,000.*at most"),
        (["--replicates", "1e13"], "--replicates is 10,000,000,000,000.*at most"),
        (["--permutations", "1e12"], "--permutations is .*at most"),
        (["--composites", "hima"], "no composite 'hima'.*hima: an estimator, --effects hima"),
        (["--composites", "maxy"], "did you mean maxie"),
        (["--covariates", "m3"], "covariates: there is no column 'm3'; did you mean"),
        (["--where", "x > 100"], "at least 3 rows are needed"),
        (["--memory", "0", "--basis", "splines"], "streams take covariates.*--basis linear"),
        (["--sheet", "data"], "--sheet NAME goes with .xlsx"),
    ],
)
def test_requests_that_cannot_be_met(arguments, capsys, more, said):
    assert main([*arguments, *more]) == 2
    error = capsys.readouterr().err
    assert re.search(said, error), error
    assert len(error.strip().splitlines()) == 1


def test_warnings_are_lines_of_the_command(arguments, capsys, tmp_path):
    # 60 rows and 4 mediators that vary, as in `test_edges`: the same program.
    values = np.random.default_rng(0).normal(size=(60, 6))
    frame = pandas.DataFrame(values, columns=["x", "y", "m1", "m2", "m3", "m4"]).assign(m5=1.0)
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert main([*arguments, "--effects", "none"]) == 0
    error = capsys.readouterr().err
    assert error.startswith("jaxmed: warning: 1 mediators were left out") and ".py" not in error
