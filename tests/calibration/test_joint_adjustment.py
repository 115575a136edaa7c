"""Adjustments by name, and what they do where nothing can be calibrated."""

import jax
import numpy as np
import pytest

from jaxmed import status as st
from jaxmed.calibration.adjust import benjamini_hochberg
from jaxmed.calibration.dact import dact
from jaxmed.calibration.hdmt import hdmt
from jaxmed.calibration.joint_adjustment import adjusted, check_adjust

program = jax.jit(adjusted, static_argnums=0)
dact_of, hdmt_of, bh_of = map(jax.jit, (dact, hdmt, benjamini_hochberg))


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
    for name, wanted in {
        "none": joint,
        "bonferroni": np.minimum(59 * joint, 1),
        "bh": bh_of(joint),
        "hdmt": hdmt_of(a, b).fdr,
        "dact": dact_of(a, b).p_adjusted,
    }.items():
        values, status = program(name, a, b, joint)
        np.testing.assert_allclose(values, wanted, rtol=1e-5, err_msg=name)
        assert int(status) == (st.SMALL_SAMPLE if name in ("hdmt", "dact") else st.OK)
        assert np.isnan(values[7])


def test_without_a_null_share_dact_is_benjamini_hochberg():
    a, b = np.random.default_rng(1).uniform(size=(2, 60)) * 1e-9
    assert st.is_fatal(dact_of(a, b).status)
    values, status = program("dact", a, b, np.maximum(a, b))
    np.testing.assert_allclose(values, bh_of(np.maximum(a, b)), rtol=1e-6)
    assert int(status) == st.NOT_CONVERGED


def test_unknown_name():
    with pytest.raises(ValueError, match="adjust must be one of"):
        check_adjust("holm")
