"""The stored outputs of the R peers: see tests/reference/README.md."""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from jaxmed.data.mediation_data import MediationData, Names

HERE = pathlib.Path(__file__).parent / "reference"
# Example data of the peers' packages are not ours to ship; they are tested where they lie beside
# the repository.
BESIDE = pathlib.Path(__file__).parents[2] / "shared" / "reference"
ELSEWHERE = {
    "med": "hdmed_med_dat",
    "hco": "hima_ContinuousOutcome",
    "surv": "hima_SurvivalData",
}
SHIPPED = ("gA100", "gA500", "gB100", "lin", "mx20", "mx400", "pv")
ALL_8 = ("gA100", "gA500", "gB100", "med", "hco", "lin", "mx20", "mx400")


def mostly_slow(aliases: Iterable[str], *quick: str) -> list[Any]:
    """Parameters of a test; all but the quick ones are left to `make test-slow`."""
    return [a if a in quick else pytest.param(a, marks=pytest.mark.slow) for a in aliases]


def folder(alias: str) -> pathlib.Path:
    """Where a data set lies; skips the test where it may not be shipped and is not at hand."""
    if alias not in ELSEWHERE:
        return HERE / alias
    path = BESIDE / ELSEWHERE[alias]
    if not path.is_dir():
        pytest.skip(f"{alias} is example data of a GPL package and is not shipped")
    return path


def _arrays(value: Any, store: Any) -> Any:
    """Lists of numbers as arrays (NaN for null), `$npz` entries from the file beside."""
    if isinstance(value, dict):
        if "$npz" in value:
            return np.asarray(store[value["$npz"]]).reshape(value["shape"])
        return {key: _arrays(item, store) for key, item in value.items()}
    if isinstance(value, list):
        if value and all(x is None or isinstance(x, int | float) for x in value):
            return np.array([np.nan if x is None else x for x in value], float)
        return [_arrays(item, store) for item in value]
    return value


@functools.cache
def call(alias: str, name: str) -> dict[str, Any]:
    """One stored call: keys fun, args, result, intermediate, cpu_s, version, ..."""
    base = folder(alias)
    record = json.loads((base / f"{name}.json").read_text())
    store = np.load(base / f"{name}.npz") if (base / f"{name}.npz").exists() else {}
    return _arrays(record, store)


@functools.cache
def arrays(alias: str) -> dict[str, np.ndarray]:
    """The arrays of one data set as stored."""
    with np.load(folder(alias) / "data.npz") as stored:
        return {key: stored[key] for key in stored.files}


@functools.cache
def data(alias: str, covariates: bool = True) -> MediationData:
    """One data set; mediators m1..mp, covariates x1..xq (left out if not `covariates`)."""
    stored = arrays(alias)
    exposure, mediators, outcome = stored["A"].ravel(), stored["M"], stored["Y"].ravel()
    x = stored.get("X") if covariates else None
    x = np.zeros((len(exposure), 0)) if x is None else x.reshape(len(exposure), -1)
    names = Names(
        mediators=tuple(f"m{j + 1}" for j in range(mediators.shape[1])),
        covariates=tuple(f"x{j + 1}" for j in range(x.shape[1])),
    )
    return MediationData(exposure, mediators, outcome, x, None, names)


def positions(labels: list[str], p: int) -> np.ndarray:
    """0-based positions of mediators m1..mp among `labels`; -1 for exposure and covariates."""
    where = {f"m{j + 1}": j for j in range(p)}
    return np.array([where.get(label, -1) for label in labels])


@dataclasses.dataclass(frozen=True)
class Case:
    """One (data set, call) pair as a test parameter."""

    alias: str
    name: str

    def __str__(self) -> str:
        return f"{self.alias}-{self.name}"
