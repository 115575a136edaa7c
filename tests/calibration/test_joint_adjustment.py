"""Adjustments by name, and what they do where nothing can be calibrated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed import status as st
from jaxmed.calibration.adjust import benjamini_hochberg
from jaxmed.calibration.dact import dact
from jaxmed.calibration.hdmt import hdmt
from jaxmed.calibration.joint_adjustment import adjusted, check_adjust

NAMES = ("none", "bonferroni", "bh", "hdmt", "dact")


@jax.jit
def program(a, b):
    """Every adjustment by its name, and the functions they are."""
    joint = jnp.maximum(a, b)
    found = {name: adjusted(name, a, b, joint) for name in NAMES}
    return found, benjamini_hochberg(joint), hdmt(a, b), dact(a, b)


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(size=(2, 60))
    a[:5], b[:5] = 1e-6, 1e-7
    a[7] = np.nan
    return a, b


def test_each_is_its_function(pair):
    a, b = pair
    joint = np.maximum(a, b)
    found, bh, mixture, composite = program(a, b)
    for name, wanted in {
        "none": joint,
        "bonferroni": np.minimum(59 * joint, 1),
        "bh": bh,
        "hdmt": mixture.fdr,
        "dact": composite.p_adjusted,
    }.items():
        values, status = found[name]
        np.testing.assert_allclose(values, wanted, rtol=1e-5, err_msg=name)
        assert int(status) == (st.SMALL_SAMPLE if name in ("hdmt", "dact") else st.OK)
        assert np.isnan(values[7])


def test_without_a_null_share_dact_is_benjamini_hochberg():
    a, b = np.random.default_rng(1).uniform(size=(2, 60)) * 1e-9
    found, bh, _, composite = program(a, b)
    assert st.is_fatal(composite.status)
    values, status = found["dact"]
    np.testing.assert_allclose(values, bh, rtol=1e-6)
    assert int(status) == st.NOT_CONVERGED


def test_unknown_name():
    with pytest.raises(ValueError, match="adjust must be one of"):
        check_adjust("holm")
