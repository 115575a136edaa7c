"""The JSON file of every analysis: read back as written, sealed, with the digest of its data."""

import hashlib
import json
import math

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

import jaxmed  # noqa: E402
from jaxmed.cli import main  # noqa: E402
from jaxmed.data.documents import DocumentError  # noqa: E402
from jaxmed.data.unpack import digest_of  # noqa: E402
from jaxmed.reports.record import Record, read_result, result_json  # noqa: E402
from jaxmed.reports.result_form import FORMS, VERSIONS  # noqa: E402

FAST = ["--replicates", "100", "--permutations", "0", "--folds", "0", "--effects", "none"]
ROLES = ["--outcome", "y", "--mediators", "m0,m1,m2,m3", "--covariates", "c", "--quiet"]
# kind -> (command, options, the file written)
KINDS = {
    "mediate": (
        "mediate",
        ["--exposure", "x", *FAST, "--basis", "linear", "--no-figures"],  # as of a stream
        "result.json",
    ),
    "streamed": (
        "mediate",
        ["--exposure", "x", *FAST, "--no-figures", "--memory", "1K"],
        "result.json",
    ),
    "dual": (
        "mediate",
        ["--exposure", "x", *FAST, "--no-figures", "--where", "row < 9", "--mediators", "m*"],
        "result.json",
    ),
    "effects": (
        "mediate",
        ["--exposure", "x", "--method", "effects", "--no-figures"],
        "effects.json",
    ),
    "compare": (
        "compare",
        ["--exposure", "x", "--methods", "ols", "--bootstrap", "4", "--no-figures"],
        "compare.json",
    ),
    "evaluate": (
        "evaluate",
        ["--exposure", "x", "--methods", "maxie,maxcor", "--holdout", "0.5", "--basis", "linear"],
        "evaluation.json",
    ),
    "levels": (
        "compare",
        ["--exposure", "arm", "--methods", "ols", "--bootstrap", "0", "--no-figures"],
        "levels.json",
    ),
}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame(rng.normal(size=(90, 9)), columns=[f"m{j}" for j in range(9)])
    frame = frame.assign(x=rng.normal(size=90), c=rng.normal(size=90), row=np.arange(90))
    frame["y"] = frame.x + frame.m1 + rng.normal(size=90)
    frame["arm"] = np.array(["low", "mid", "high"])[np.arange(90) % 3]
    path = tmp_path_factory.mktemp("table") / "data.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def written(table, tmp_path_factory):
    """kind -> path of its JSON file; each analysis runs once."""
    pytest.importorskip("jinja2")
    made = {}

    def path_of(kind):
        if kind not in made:
            command, options, name = KINDS[kind]
            out = tmp_path_factory.mktemp(kind)
            assert main([command, str(table), *ROLES, *options, "--out", str(out)]) == 0
            made[kind] = out / name
        return made[kind]

    return path_of


@pytest.mark.parametrize("kind", KINDS)
def test_every_result_reads_back_with_the_digest_of_its_file(written, table, kind):
    path = written(kind)
    raw = json.loads(path.read_text(encoding="utf-8"))
    found = read_result(path)
    assert found == {name: value for name, value in raw.items() if name != "sha256"}
    assert found["schema_version"] == VERSIONS[found["schema"]]
    digest = hashlib.sha256(table.read_bytes()).hexdigest()
    assert found["data"]["files"] == [{"file": "data.csv", "sha256": digest}]
    assert result_json(found) + "\n" == path.read_text(encoding="utf-8")
    page = path.parent / "report.html"
    if page.exists():
        assert f"data.csv, SHA-256 {digest}" in page.read_text(encoding="utf-8")


def numbers(value, place=()):
    """(path, number) of every number in a document."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from numbers(item, (*place, name))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from numbers(item, (*place, position))
    elif isinstance(value, float):
        yield place, value


@pytest.mark.parametrize("kind", ["mediate", "compare", "effects", "evaluate", "levels"])
def test_a_changed_number_is_refused(written, tmp_path, kind):
    document = json.loads(written(kind).read_text(encoding="utf-8"))
    path = tmp_path / "result.json"
    for place, value in list(numbers(document))[::7]:
        changed = json.loads(json.dumps(document))
        at = changed
        for step in place[:-1]:
            at = at[step]
        at[place[-1]] = math.nextafter(value, 2)
        path.write_text(json.dumps(changed))
        with pytest.raises(DocumentError, match="does not fit the content|is 1"):
            read_result(path)


@pytest.mark.parametrize("kind", ["mediate", "compare", "effects", "evaluate", "levels"])
def test_fields_that_readers_rely_on_are_checked_by_name(written, tmp_path, kind):
    document = read_result(written(kind))
    path = tmp_path / "result.json"
    for name in FORMS[document["schema"]].fields:
        left = {key: value for key, value in document.items() if key != name}
        for other in (left, document | {name: "text"}, document | {name: None}):
            if name == "schema" or other.get(name) == document[name]:
                continue
            if isinstance(document[name], str) and other.get(name) == "text":
                continue
            path.write_text(result_json(other))
            with pytest.raises(DocumentError, match=f"^result.json: {name}"):
                read_result(path)


@pytest.mark.parametrize("version", [1, 3, 2**53])
def test_another_version_is_refused_in_words(written, tmp_path, version):
    document = read_result(written("compare")) | {"schema_version": version}
    path = tmp_path / "compare.json"
    path.write_text(result_json(document))
    said = f"is {version}, and this version reads 2 of jaxmed.compare; run the analysis again"
    with pytest.raises(DocumentError, match=said):
        read_result(path)
    del document["schema_version"]
    path.write_text(json.dumps(document))
    with pytest.raises(DocumentError, match="schema_version: is missing"):
        read_result(path)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "null", '{"schema": "jaxmed.run"}', "\x00", "[" * 9999]
)
def test_what_is_no_result_is_refused(tmp_path, text):
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(DocumentError, match=r"^result.json: .*write it again"):
        read_result(path)
    with pytest.raises(FileNotFoundError):
        jaxmed.read_result(tmp_path / "none.json")


def test_no_number_is_null_and_any_name_is_sealed(written, tmp_path):
    document = read_result(written("mediate"))
    document["effects"][0]["estimate"] = float("nan")
    document["data"]["exposure"]["name"] = "a\ud800\x00\u2028\x1b\x9b2J"
    document["design"]["dropped"] = {"\udfff": "constant", "10": "a", "2": "b"}
    path = tmp_path / "result.json"
    path.write_bytes(Record(document, {}, {}).to_json().encode())
    text = path.read_text(encoding="utf-8")
    assert not any(one < " " and one != "\n" or "\x7f" <= one < "\xa0" for one in text)
    found = read_result(path)
    assert found["effects"][0]["estimate"] is None
    assert found["data"]["exposure"]["name"] == "a\ud800\x00\u2028\x1b\x9b2J"
    assert "\udfff" in found["design"]["dropped"]


def test_every_kind_says_its_version():
    assert set(FORMS) == set(VERSIONS)


def test_data_from_memory_have_no_digest_and_the_page_says_so(table, tmp_path):
    roles = {"exposure": "x", "outcome": "y", "mediators": "m0,m1,m2,m3", "covariates": ["c"]}
    frame = pandas.read_csv(table)
    for source, files in ((frame, None), (str(table), [digest_of(table)])):
        data, report = jaxmed.from_frame_with_report(source, **roles)
        result = jaxmed.compare(data, ["ols"], key=0, bootstrap=0, source=report)
        result.save(tmp_path, figures=False)
        found = jaxmed.read_result(tmp_path / "compare.json")["data"]["files"]
        assert (found and [one["sha256"] for one in found]) == files
    data = jaxmed.from_frame(frame, **roles)
    jaxmed.compare(data, ["ols"], key=0, bootstrap=0).save(tmp_path, figures=False)
    assert jaxmed.read_result(tmp_path / "compare.json")["data"]["files"] is None
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "none recorded: the data came from memory" in page
