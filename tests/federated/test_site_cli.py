"""`jaxmed site` from files of rows to the report."""

import json
import os

import jax
import numpy as np
import pytest
from site_problems import SITES, sites

from jaxmed.cli import main
from jaxmed.federated import releasing

pandas = pytest.importorskip("pandas", reason="the command line reads tables with pandas")


@pytest.fixture(autouse=True)
def precision():
    """The commands switch to float64."""
    before = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A folder for each site, with its rows."""
    found = []
    labels = (*SITES, "large")
    parts = [*sites(), sites(1, rows=(3000, 60, 60))[0]]
    for number, (data, site) in enumerate(zip(parts, labels, strict=True)):
        frame = pandas.DataFrame(data.mediators, columns=list(data.names.mediators))
        frame["dose"], frame["score"] = data.exposure, data.outcome
        frame["age"], frame["male"] = data.covariates.T
        frame["person"] = [f"p{number}-{i}" for i in range(len(frame))]
        path = tmp_path_factory.mktemp(site) / "rows.csv"
        frame.to_csv(path, index=False)
        found.append(path)
    return dict(zip(labels, found, strict=True))


def roles(*more):
    columns = ["--exposure", "dose", "--outcome", "score", "--mediators", "m?"]
    return [*columns, "--covariates", "age,male", "--quiet", *more]


def summarise(table, site, out, *more):
    return main(["site", "summarise", str(table), *roles("--site", site, "--out", str(out), *more)])


def test_from_rows_at_three_sites_to_the_report(tables, tmp_path, capsys):
    pytest.importorskip("jinja2", reason="the report needs jinja2")
    key = tmp_path / "key"
    key.write_text("a secret of more than 16 bytes")
    signed = ["--hmac-key", str(key)]
    files = []
    for site in SITES:
        files.append(str(tmp_path / f"{site}.npz"))
        ids = ["--row-id", "person"]
        assert summarise(tables[site], site, files[-1], *ids, *signed) == 0
        assert "stays at the site" in capsys.readouterr().out
        assert main(["site", "check", files[-1], *signed]) == 0
        said = capsys.readouterr().out
        assert f"site {site}: 60 rows, 5 mediators" in said and "release 1 of ledger" in said
    merged = str(tmp_path / "merged.npz")
    assert main(["site", "merge", *files, "--out", merged, *signed, "--quiet"]) == 0
    rounds = []
    for site in SITES:
        rounds.append(str(tmp_path / f"round-{site}.npz"))
        more = ["--site", site, "--out", rounds[-1], "--merged", merged, "--row-id", "person"]
        assert main(["site", "second-round", str(tables[site]), *roles(*more, *signed)]) == 0
    out = tmp_path / "report"
    more = ["--method", "maxie", "--leave-one-out", *rounds, "--out", str(out), "--no-figures"]
    replicates = ["--replicates", "500", "--seed", "3"]
    assert main(["site", "mediate", merged, *more, *signed, *replicates, "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "north 60, south 60, west 60" in shown
    document = json.loads((out / "result.json").read_text())
    tests = {t["label"]: t for t in document["tests"]}
    assert tests["Total indirect test, robust"]["p_value"] < 1e-8
    assert len(document["data"]["source"]["sites"]) == 3


def test_positions_are_said_to_be_used_and_an_overlap_is_refused(tables, tmp_path, capsys):
    out, ledger = tmp_path / "a.npz", ["--ledger", str(tmp_path / "ledger")]
    assert summarise(tables["north"], "north", out, *ledger) == 0
    assert "told apart by their position in rows.csv" in capsys.readouterr().out
    before = out.read_bytes()
    assert summarise(tables["north"], "north", out, *ledger) == 0
    assert summarise(tables["north"], "north", out, *ledger, "--where", "age > 40") == 2
    assert "rows are in an earlier release" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert not (tables["north"].parent / "ledger").exists()


def test_rows_are_identified_after_selection(tables, tmp_path, capsys):
    """Disjoint subsets pass, wherever their rows stand in the file."""
    more = ["--ledger", str(tmp_path / "ledger"), "--row-id", "person", "--max-ratio", "0.5"]
    where = ["--covariates", "age", "--min-rows", "15"]
    for number, condition in enumerate(("male == 1", "male == 0")):
        out = tmp_path / f"{number}.npz"
        assert summarise(tables["south"], "south", out, *more, *where, "--where", condition) == 0, (
            capsys.readouterr().err
        )


@pytest.fixture
def again(tables, tmp_path):
    """The rows of the first site with identifiers as a spreadsheet would write them."""
    frame = pandas.read_csv(tables["north"])
    frame["person"] = [f" P{name[1:]}" for name in frame["person"]]
    frame.to_csv(tmp_path / "again.csv", index=False)
    return tmp_path / "again.csv"


def test_persons_are_known_in_another_file_and_under_another_label(tables, again, tmp_path, capsys):
    more = ["--ledger", str(tmp_path / "ledger"), "--row-id", "person"]
    assert summarise(tables["north"], "north", tmp_path / "a.npz", *more) == 0
    assert "release 1" in capsys.readouterr().out
    assert summarise(again, "east", tmp_path / "b.npz", *more) == 2
    assert "60 of 60 rows are in an earlier release" in capsys.readouterr().err
    assert not (tmp_path / "b.npz").exists()


def test_two_spellings_of_an_identifier_are_refused(tables, tmp_path, capsys):
    frame = pandas.read_csv(tables["north"])
    frame["person"] = ["P0-1", *frame["person"][1:]]
    frame.to_csv(tmp_path / "rows.csv", index=False)
    assert summarise(tmp_path / "rows.csv", "north", tmp_path / "a.npz", "--row-id", "person") == 2
    assert "'P0-1' and 'p0-1' differ only in how they are written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_a_lost_ledger_is_refused_beside_its_releases(tables, tmp_path, capsys):
    out, ledger = tmp_path / "a.npz", tmp_path / "ledger"
    more = ["--ledger", str(ledger), "--row-id", "person"]
    assert summarise(tables["north"], "north", out, *more) == 0
    ledger.unlink()
    assert summarise(tables["north"], "north", tmp_path / "b.npz", *more) == 2
    assert "is missing beside a.npz" in capsys.readouterr().err
    assert not (tmp_path / "b.npz").exists() and not ledger.exists()


def test_an_interrupted_release_is_put_in_place_and_said_so(tables, tmp_path, capsys, monkeypatch):
    out, ledger = tmp_path / "a.npz", tmp_path / "ledger"
    more = ["--ledger", str(ledger), "--row-id", "person"]
    with monkeypatch.context() as broken:
        broken.setattr(releasing, "_take_back", lambda *_: None)
        broken.setattr(releasing, "_put_in_place", lambda *_: open(tmp_path))
        assert summarise(tables["north"], "north", out, *more) == 2
    assert not out.exists()
    assert summarise(tables["north"], "north", out, *more, "--covariates", "age") == 0
    said = capsys.readouterr().out
    assert "its file was put in place, and nothing of this run is in it" in said
    assert "2 covariates" in said and out.exists()


def test_noise_is_stated_and_not_forgotten(tables, tmp_path, capsys):
    bounds = tmp_path / "bounds.csv"
    lines = ["column,centre,scale", "age,50,10", "male,0.5,0.5", "dose,1,2", "score,10,10"]
    bounds.write_text("\n".join([*lines, *(f"m{j},2,3" for j in range(1, 6))]))
    noise = ["--delta", "1e-5", "--bounds", str(bounds), "--clip", "6"]
    more = ["--ledger", str(tmp_path / "ledger"), "--row-id", "person"]
    out = tmp_path / "a.npz"
    assert summarise(tables["large"], "large", out, *more, *noise) == 2
    assert "all of --epsilon" in capsys.readouterr().err
    assert summarise(tables["large"], "large", out, *more, *noise, "--epsilon", "50") == 0
    assert "noise: epsilon 50" in capsys.readouterr().out
    assert summarise(tables["large"], "large", out, *more, *noise, "--epsilon", "50") == 2
    assert "spends epsilon again" in capsys.readouterr().err
    merged = str(tmp_path / "merged.npz")
    assert main(["site", "merge", str(out), "--out", merged, "--quiet"]) == 0
    assert main(["site", "mediate", merged, "--quiet"]) == 2
    assert "name the sites' files with --sites" in capsys.readouterr().err
    shown = ["--sites", str(out), "--replicates", "500", "--method", "maxie", "--quiet"]
    assert main(["site", "mediate", merged, *shown]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "do not know of the noise" in printed and "total with noise and sampling" in printed
    other = tmp_path / "b.npz"
    assert summarise(tables["north"], "north", other, *more) == 0
    assert main(["site", "mediate", merged, "--sites", str(other), "--quiet"]) == 2
    assert "not the files that were merged" in capsys.readouterr().err


def test_noise_that_drowns_the_rows_is_said_so(tables, tmp_path, capsys):
    columns = ("age", "male", "dose", "score", *(f"m{j}" for j in range(1, 6)))
    bounds = tmp_path / "bounds.json"
    bounds.write_text(json.dumps(dict.fromkeys(columns, (0, 1))))
    noise = ["--epsilon", "0.001", "--delta", "1e-5", "--bounds", str(bounds), "--clip", "100"]
    out, merged = tmp_path / "a.npz", str(tmp_path / "merged.npz")
    ledger = ["--ledger", str(tmp_path / "ledger")]
    assert summarise(tables["west"], "west", out, *ledger, *noise) == 0
    assert main(["site", "merge", str(out), "--out", merged, "--quiet"]) == 0
    capsys.readouterr()
    assert main(["site", "mediate", merged, "--sites", str(out), "--quiet"]) == 2
    assert "noise of this size leaves no estimate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--row-id", "persom"], "person"),
        (["--min-rows", "5"], "--min-rows must be at least 10"),
        (["--min-rows", "61"], "60 rows, fewer than --min-rows 61"),
        (["--site", "a b"], "site labels"),
    ],
)
def test_refusals_are_one_line_and_write_nothing(tables, tmp_path, capsys, change, message):
    out = tmp_path / "a.npz"
    ledger = ["--ledger", str(tmp_path / "ledger")]
    assert summarise(tables["north"], "north", out, *ledger, *change) == 2
    assert message in capsys.readouterr().err
    assert not out.exists() and not (tmp_path / "ledger").exists()


STOCKS = os.environ.get("JAXMED_US_STOCKS")


@pytest.mark.skipif(not STOCKS, reason="JAXMED_US_STOCKS names no file")
def test_us_stocks_in_three_parts_equal_the_whole():
    from jaxmed.analysis.fit import fit, fit_moments
    from jaxmed.data.frames import from_frame
    from jaxmed.federated.merge import merge_sites
    from jaxmed.federated.summary import summarise

    frame = pandas.read_csv(STOCKS, float_precision="round_trip")
    frame = frame[frame["in_sample"] == 1].reset_index(drop=True)
    columns = {
        "exposure": "high_tech",
        "outcome": "log_return_2019",
        "mediators": "fi_*",
        "covariates": ["log10_market_cap"],
    }
    whole = fit(from_frame(frame, **columns))
    parts = [from_frame(frame[np.arange(len(frame)) % 3 == k], **columns) for k in range(3)]
    merged = merge_sites([summarise(d, site=f"s{k}") for k, d in enumerate(parts)])
    found = fit_moments(merged)
    for name in ("total", "direct", "joint"):
        for one, two in zip(
            jax.tree.leaves(getattr(found, name)),
            jax.tree.leaves(getattr(whole, name)),
            strict=True,
        ):
            np.testing.assert_allclose(one, two, rtol=1e-7)
