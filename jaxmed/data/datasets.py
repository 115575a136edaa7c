"""Real data sets that come with the package."""

from importlib import resources
from pathlib import Path
from typing import Any

from jaxmed.data.readers import read_table

_DATASETS = ("covid_plasma_proteome",)


def available() -> tuple[str, ...]:
    """Names of the bundled data sets."""
    return _DATASETS


def path(name: str) -> Path:
    """The folder of a data set: data.csv.gz, features.csv, README.md with provenance and licence.

    Raises:
      ValueError: no data set of this name.
    """
    if name not in _DATASETS:
        raise ValueError(f"there is no data set {name!r}; available are {list(_DATASETS)}")
    return Path(str(resources.files("jaxmed.data") / name))


def load(name: str) -> Any:
    """The rows of a data set as a pandas DataFrame (needs the extra `io`).

    ``covid_plasma_proteome``: 127 patients admitted to one hospital, 102 of them with COVID-19;
    age, sex, outcomes, and 517 plasma proteins ``prot_*`` (log2 intensity). Overmyer et al. (2021).

    Raises:
      ValueError: no data set of this name.
      ImportError: pandas is not installed.
    """
    return read_table(path(name) / "data.csv.gz")


def features(name: str) -> Any:
    """What is known of each mediator of a data set, one row each, as a pandas DataFrame.

    Raises:
      ValueError: no data set of this name.
      ImportError: pandas is not installed.
    """
    return read_table(path(name) / "features.csv")
