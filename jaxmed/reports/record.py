"""The plain record of one analysis, which every report is made from.

`document` is what `result.json` holds: Python scalars, strings, lists and dicts only. A number that
does not exist is NaN here and null in the file, beside a `status` name and the `reason` in words.

    schema, schema_version, sha256 (of the other fields: `documents.sealed`; in the file only)
    software      jaxmed, python, jax, jaxlib, numpy, platform, device, precision
    settings      what was asked for, seed included: composites and effects (names, or "auto"),
                  screened (unknown, no, exposure, outcome, both: how the mediators were chosen)
    data          source, files (list of file, sha256 of its bytes; null where the data came
                  from memory), rows_used, rows_*, num_mediators, num_covariates, lines (sentences),
                  exposure / outcome / covariates (name, mean, sd, minimum, maximum),
                  dropped_mediators (name, status, notes, reason)
    design        basis, chosen_by, rank, columns, dropped (name -> sentence), rows, sentence;
                  linear (total, direct, indirect under linear covariates, sentence; null where
                  the basis is linear); matters (basis, rank, the effects under a richer basis,
                  shifts in standard errors, moved, sentence; null where nothing is compared)
    paths         regime, route, condition, dimension, residual_df, cosine, angle_degrees,
                  exposure_r2 (of the exposure on the mediators), outcome_r2 (of the outcome on the
                  mediators
                  given the exposure), both given the covariates; exposure_norm, outcome_norm
                  (in-sample
                  strengths sqrt(q_AA), sqrt(q_YY)); maxcor_angle_degrees (concordant, suppression:
                  from the
                  exposure path); status, notes, reason
    effects       list of: quantity, label, method, method_label, of_record (of the estimator that
                  the first paragraph quotes), estimand, estimate, naive, standard_error, lower,
                  upper, level, interval, unit, status, notes, reason. Quantities: total_effect,
                  direct_effect, total_indirect, proportion_mediated (a share of the total effect,
                  Fieller's limits), concordant (upward part), suppression (downward part),
                  cross_fitted, cross_fitted_suppression; the last two also have splits,
                  splits_used, split_sd, split_lower, split_upper (estimates over splits). The
                  estimator of record comes first, another one after it with the same quantities;
                  one that refuses the data has NaN and STOPPED. In the dual least squares has no
                  direct and no total indirect effect, and no entry of them
    choice        methods (of direct and indirect effect, that of record first; empty where none
                  was asked for), reason, sentences
    composites    list of: method, direction, label, exposure_effect, outcome_effect, indirect,
                  direct, total, proportion_mediated (null with a proportion_reason where the
                  interval of the total effect holds zero), index, exposure_correlation,
                  outcome_correlation, top
                  (names by
                  |weight per sd|), status, notes, reason
    tests         list of: test, label, null, exact, statistic, df, p_value, p_concordant
                  (upward), p_suppression (downward), status, notes, reason
    mediator_summary   count, q05, q10 (mediators below), lead (names), reason
    threats       list of: code, severity (note, warn, stop), measured, threshold, sentence, remedy
    methods_text  paragraphs for the methods section of a paper
    citations     list of: text, link (may be empty), of what was used
    warnings      list of sentences
"""

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from jaxmed.data.documents import DocumentError, check_document, read_document, sealed
from jaxmed.data.forms import Choice, Fields, Whole
from jaxmed.reports.migration import migrated
from jaxmed.reports.result_form import EARLIER, FORMS, VERSIONS
from jaxmed.vocabulary import UNSAFE

SCHEMA = "jaxmed.mediate"
SCHEMA_VERSION = VERSIONS[SCHEMA]


@dataclasses.dataclass(frozen=True)
class Record:
    """Host values of one analysis: the document, one row per mediator, one row per data row."""

    document: dict[str, Any]
    mediators: dict[str, np.ndarray]  # columns of mediators.csv in order; every mediator is a row
    rows: dict[
        str, np.ndarray
    ]  # exposure, outcome and score_<method>_<direction>, given the covariates

    def to_json(self) -> str:
        """The document as strict JSON; NaN and infinities become null."""
        return result_json(self.document)

    def effect(self, quantity: str) -> dict[str, Any]:
        """The entry of one effect.

        Raises:
          KeyError: no such quantity, with the ones there are.
        """
        return _find(self.document["effects"], "quantity", quantity)

    def test(self, name: str) -> dict[str, Any]:
        """The entry of one test.

        Raises:
          KeyError: no such test, with the ones there are.
        """
        return _find(self.document["tests"], "test", name)


def _find(entries: list[dict[str, Any]], field: str, wanted: str) -> dict[str, Any]:
    for entry in entries:
        if entry[field] == wanted:
            return entry
    raise KeyError(f"no {field} {wanted!r}; there are {[entry[field] for entry in entries]}")


def result_json(document: dict[str, Any]) -> str:
    """The text of every result.json: strict, sealed, and encodable whatever the columns are called.

    Args:
      document: plain values, with `schema` and `schema_version`.
    """
    # Sealed as it will be read: names of objects are texts, and tuples are lists.
    plain = json.loads(json.dumps(strict(document), allow_nan=False))
    text = json.dumps(sealed(plain), indent=2, ensure_ascii=False)
    # JSON lets some of them stand; the lines themselves are those of the indentation.
    return "\n".join(re.sub(UNSAFE, _escape, line) for line in text.split("\n"))


def _escape(character: re.Match[str]) -> str:
    return f"\\u{ord(character[0]):04x}"


def read_result(path: str | Path) -> dict[str, Any]:
    """The document of the JSON file that any analysis writes; what is null there is None.

    Args:
      path: of result.json, compare.json, effects.json, evaluation.json, gahmn.json, levels.json.
    Returns:
      Plain values without the seal. A result.json of version 2 comes as a document of version 3,
      see `migration.migrated`.
    Raises:
      FileNotFoundError: no such file.
      DocumentError: another form or version, or changed since it was written; names the field.
    """
    path = Path(path)
    remedy = "it is no result of jaxmed, or damaged: write it again with `save`"
    head = Fields({"schema": Choice(tuple(VERSIONS)), "schema_version": Whole()}, open=True)
    found = read_document(path, head, remedy=remedy)
    schema, version = found["schema"], found["schema_version"]
    earlier = EARLIER.get((schema, version))
    if earlier is not None:
        return migrated(check_document(found, earlier, file=path.name, remedy=remedy, seal=True))
    if version != VERSIONS[schema]:
        problem = f"is {version}, and this version reads {VERSIONS[schema]} of {schema}"
        raise DocumentError(
            path.name, "schema_version", problem, "run the analysis again, or read it by its JSON"
        )
    return check_document(found, FORMS[schema], file=path.name, remedy=remedy, seal=True)


def strict(value: Any) -> Any:
    """The same value with NaN and infinities as None, for strict JSON."""
    if isinstance(value, dict):
        return {key: strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
