"""Analyses that several test files read: made once per worker."""

import pytest
from proteome import SMALL, abundant, proteome

from jaxmed import mediate


@pytest.fixture(scope="session")
def dual():
    data, source = proteome("prot_*")
    return mediate(data, key=1, source=source)  # the README's programs


@pytest.fixture(scope="session")
def primal():
    pytest.importorskip("pandas", reason="the bundled data are read with pandas")
    data, source = proteome(abundant())
    methods = ("maxie", "maxcor", "reg_outcome", "reg_exposure", "directions")
    return mediate(data, composites=methods, key=1, source=source, **SMALL)
