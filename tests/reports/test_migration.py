"""A result.json of version 2, written by the code of then, read as a document of version 3."""

import json
from pathlib import Path

import pytest

from jaxmed.analysis.wording import EFFECTS
from jaxmed.data.documents import DocumentError, check_document
from jaxmed.reports.migration import BY_VERSION_2, QUANTITIES, migrated
from jaxmed.reports.record import read_result, result_json
from jaxmed.reports.result_form import FORMS

FILES = {
    kind: Path(__file__).parent / "earlier" / name
    for kind, name in {"primal": "mediate_2.json", "dual": "mediate_2_dual.json"}.items()
}


def raw(kind):
    found = json.loads(FILES[kind].read_text(encoding="utf-8"))
    return {name: value for name, value in found.items() if name != "sha256"}


@pytest.mark.parametrize("kind", FILES)
def test_an_earlier_file_is_read_in_the_form_of_today(kind):
    found = read_result(FILES[kind])
    assert found["schema_version"] == 3
    check_document(found, FORMS["jaxmed.mediate"], file="result.json", remedy="")
    assert found["choice"] == {"methods": [], "reason": BY_VERSION_2, "sentences": []}
    assert found["threats"] == found["methods_text"] == found["citations"] == []
    assert found["settings"]["composites"] == ["maxie", "maxcor"]
    assert found["settings"]["screened"] == "unknown" and "methods" not in found["settings"]


@pytest.mark.parametrize("kind", FILES)
def test_numbers_are_as_they_were(kind):
    old, new = raw(kind), read_result(FILES[kind])
    for field in ("software", "data", "design", "paths", "tests", "mediator_summary", "warnings"):
        assert new[field] == old[field]
    before = {entry["quantity"]: entry for entry in old["effects"]}
    for entry in new["effects"]:
        named = before[entry["quantity"]]
        new_fields = {"method", "method_label", "of_record"}
        assert set(entry) == set(named) | new_fields
        assert {k: v for k, v in entry.items() if k not in {*new_fields, "label"}} == {
            k: v for k, v in named.items() if k != "label"
        }


def test_effects_and_composites_are_called_as_today():
    found = read_result(FILES["primal"])
    said = [(e["label"], e["method"], e["of_record"]) for e in found["effects"]]
    assert said == [
        ("Total effect", "ols", True),
        ("Direct effect", "ols", True),
        ("Total indirect effect", "ols", True),
        ("Upward part", "ols", False),
        ("Downward part", "ols", False),
        ("Cross-fitted upward part", "maxie", False),
        ("Cross-fitted downward part", "maxie", False),
    ]
    assert [c["label"] for c in found["composites"]] == [
        "MaxIE upward",
        "MaxIE downward",
        "MaxCor upward",
        "MaxCor downward",
    ]


def test_labels_are_those_that_an_analysis_writes_today(every):
    assert {name: label for name, (label, _) in QUANTITIES.items()} == {
        name: EFFECTS[name][0] for name in QUANTITIES
    }
    for record in every.values():
        for entry in record.document["effects"]:
            assert entry["label"] == EFFECTS[entry["quantity"]][0]


def test_the_dual_has_no_entry_of_an_effect_that_least_squares_has_not():
    found = read_result(FILES["dual"])
    quantities = [entry["quantity"] for entry in found["effects"]]
    assert "direct_effect" not in quantities and "total_indirect" not in quantities
    assert quantities[0] == "total_effect" and "concordant" in quantities


def test_composites_without_a_direction_keep_their_label():
    old = raw("primal")
    old["composites"] = [old["composites"][0] | {"direction": "", "label": "Lasso-Y"}]
    assert migrated(old)["composites"] == old["composites"]


def test_the_document_of_then_is_not_touched():
    old = raw("primal")
    copy = json.loads(json.dumps(old))
    migrated(old)
    assert old == copy


def test_an_earlier_file_is_checked_by_the_form_and_the_seal_of_then(tmp_path):
    path = tmp_path / "result.json"
    changed = json.loads(FILES["primal"].read_text(encoding="utf-8"))
    changed["effects"][0]["estimate"] += 1
    path.write_text(json.dumps(changed))
    with pytest.raises(DocumentError, match="does not fit the content"):
        read_result(path)
    lacking = raw("primal")
    del lacking["tests"]
    path.write_text(result_json(lacking))
    with pytest.raises(DocumentError, match=r"^result.json: tests: is missing"):
        read_result(path)


@pytest.mark.parametrize("version", [0, 1, 4])
def test_other_versions_are_refused(tmp_path, version):
    path = tmp_path / "result.json"
    path.write_text(result_json(raw("primal") | {"schema_version": version}))
    said = f"is {version}, and this version reads 3 of jaxmed.mediate; run the analysis again"
    with pytest.raises(DocumentError, match=said):
        read_result(path)


@pytest.mark.parametrize(
    "change",
    [
        {"choice": None},
        {"threats": [{"code": "OVERLAP", "severity": "loud"}]},
        {"citations": [{"text": "a"}]},
        {"methods_text": "a"},
        {"choice": {"methods": [], "sentences": []}},
    ],
)
def test_new_fields_are_checked_by_name(every, tmp_path, change):
    path = tmp_path / "result.json"
    document = every["beside"].document
    path.write_text(result_json(document))
    assert read_result(path)["citations"] == document["citations"]
    path.write_text(result_json(document | change))
    with pytest.raises(DocumentError, match=f"^result.json: {next(iter(change))}"):
        read_result(path)


@pytest.mark.parametrize("field", ["method", "method_label", "of_record"])
def test_effects_say_by_which_estimator_they_are(every, tmp_path, field):
    path = tmp_path / "result.json"
    document = every["beside"].document
    effects = [{k: v for k, v in e.items() if k != field} for e in document["effects"]]
    path.write_text(result_json(document | {"effects": effects}))
    with pytest.raises(DocumentError, match=rf"effects.*{field}"):
        read_result(path)
