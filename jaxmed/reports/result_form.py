"""The form of every result.json: what a reader may rely on. Further fields are allowed."""

from collections.abc import Mapping

from jaxmed.data.forms import (
    SHA256,
    Anything,
    Choice,
    Each,
    Fields,
    Flag,
    Kind,
    Maybe,
    Number,
    Text,
    Whole,
)

__all__ = ["EARLIER", "FORMS", "VERSIONS"]

# A version goes up with what changes in the file; CHANGELOG.md says what.
VERSIONS: Mapping[str, int] = {
    "jaxmed.mediate": 3,
    "jaxmed.compare": 2,
    "jaxmed.effects": 2,
    "jaxmed.evaluate": 2,
    "jaxmed.gahmn": 2,
    "jaxmed.levels": 2,
}


SCREENED = ("unknown", "no", "exposure", "outcome", "both")


def _open(fields: Mapping[str, Kind]) -> Fields:
    return Fields(fields, open=True)


NAME = Text(longest=10**6, any_character=True)  # a column may be called anything
SENTENCES = Each(NAME)
VALUE = Maybe(Number())  # null where a number does not exist
COUNT = Whole()
FILES = Maybe(Each(_open({"file": NAME, "sha256": SHA256}), least=1))
STATUS: Mapping[str, Kind] = {"status": NAME, "reason": NAME}


def _values(*names: str) -> dict[str, Kind]:
    return dict.fromkeys(names, VALUE)


def _names(*names: str) -> dict[str, Kind]:
    return dict.fromkeys(names, NAME)


SOFTWARE = _open(dict.fromkeys(("jaxmed", "python", "jax", "numpy", "precision"), Text()))
ASKED: Mapping[str, Kind] = {
    "seed": Maybe(Whole(most=2**32 - 1)),
    "level": Number(0, 1),
    "basis": NAME,
    "exposure": NAME,
    "outcome": NAME,
    "covariates": Each(NAME),
}
SETTINGS = _open({"methods": Each(NAME, least=1), **ASKED})
DATA: Mapping[str, Kind] = {
    "source": Maybe(_open({})),
    "files": FILES,
    "lines": SENTENCES,
    "num_mediators": Whole(1),
    "num_mediators_analysed": COUNT,
}
ROWS: Mapping[str, Kind] = {
    "rows_used": COUNT,
    "num_covariates": COUNT,
    "weighted": Flag(),
    "dropped_mediators": Each(_open({"name": NAME, **STATUS})),
}
COLUMN = _open({"name": NAME, **_values("mean", "sd", "minimum", "maximum")})
DESIGN = _open({"basis": NAME, "rank": COUNT, "columns": Each(NAME), "sentence": NAME})
LIMITS = _values("estimate", "standard_error", "lower", "upper")
EFFECTS = _values(
    *(f"{part}{of}" for part in ("direct", "indirect", "total") for of in ("", "_lower", "_upper"))
)
COMMON: Mapping[str, Kind] = {
    "schema_version": COUNT,
    "software": SOFTWARE,
    "settings": SETTINGS,
    "design": DESIGN,
    "warnings": SENTENCES,
}
METHODS: Mapping[str, Kind] = {
    **COMMON,
    "data": _open({**DATA, **ROWS}),
    "table": Each(_open({**_names("method", "label"), **EFFECTS, **STATUS}), least=1),
}
CHOICE = _open({"methods": Each(NAME, least=1), "reason": NAME, "sentences": SENTENCES})

TEST = _open({**_names("test", "label", "null"), **_values("statistic", "p_value"), **STATUS})
COMPOSITE = _open(
    {
        **_names("method", "direction", "label"),
        **_values("exposure_effect", "outcome_effect", "indirect", "direct", "total"),
        "top": Each(NAME),
        **STATUS,
    }
)
EFFECT: Mapping[str, Kind] = {**_names("quantity", "label", "unit"), **LIMITS, **STATUS}
MEDIATE_2: Mapping[str, Kind] = {
    **COMMON,
    "data": _open(
        {**DATA, **ROWS, "exposure": COLUMN, "outcome": COLUMN, "covariates": Each(COLUMN)}
    ),
    "paths": _open(
        {"regime": Choice(("primal", "dual")), **_values("cosine", "angle_degrees"), **STATUS}
    ),
    "effects": Each(_open(EFFECT), least=1),
    "composites": Each(COMPOSITE),
    "tests": Each(TEST),
    "mediator_summary": _open({"count": COUNT, "q05": COUNT, "q10": COUNT, "lead": Each(NAME)}),
}
THREAT = _open(
    {
        **_names("code", "sentence", "remedy"),
        "severity": Choice(("note", "warn", "stop")),
        **_values("measured", "threshold"),
    }
)
MEDIATE: Mapping[str, Kind] = {
    **MEDIATE_2,
    "settings": _open(
        {
            "composites": Each(NAME),
            "effects": Each(NAME),
            "screened": Choice(SCREENED),
            **ASKED,
        }
    ),
    "effects": Each(
        _open({**EFFECT, **_names("method", "method_label"), "of_record": Flag()}), least=1
    ),
    # No method where no effects were asked for.
    "choice": _open({"methods": Each(NAME), "reason": NAME, "sentences": SENTENCES}),
    "threats": Each(THREAT),
    "methods_text": SENTENCES,
    "citations": Each(_open(_names("text", "link"))),
}
EVALUATE: Mapping[str, Kind] = {
    **COMMON,
    "data": _open({**DATA, "train_rows": COUNT, "test_rows": COUNT}),
    "table": Each(
        _open(
            {
                **_names("method", "label"),
                "part": Choice(("train", "test")),
                **_values("indirect", "index", "total", "auc", "lower", "upper"),
                "group_means": Each(VALUE),
                "selected": COUNT,
                **STATUS,
            }
        ),
        least=1,
    ),
}
LEVELS: Mapping[str, Kind] = {
    "schema_version": COUNT,
    "exposure": NAME,
    "reference": NAME,
    "levels": _open({}),
    "joint": _open(
        {**_values("statistic", "p_value"), "df": COUNT, "df_residual": Whole(-(2**53))}
    ),
    "data": _open({"files": FILES}),
}


def _form(fields: Mapping[str, Kind]) -> Fields:
    return Fields({"schema": Anything(), **fields}, open=True)


FORMS: Mapping[str, Fields] = {
    f"jaxmed.{name}": _form(fields)
    for name, fields in {
        "mediate": MEDIATE,
        "compare": METHODS,
        "effects": {**METHODS, "choice": CHOICE},
        "evaluate": EVALUATE,
        "gahmn": {**METHODS, "choice": CHOICE, "seeds": Each(_open(STATUS), least=1)},
        "levels": LEVELS,
    }.items()
}
# (schema, version) of files that are read as documents of the version after it
EARLIER: Mapping[tuple[str, int], Fields] = {("jaxmed.mediate", 2): _form(MEDIATE_2)}
