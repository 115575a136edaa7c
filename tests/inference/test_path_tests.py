"""Cosine, corrected, joint and intersection-union tests as functions of the quadratics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st

from jaxmed import inference, status
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.inference.cosine_test import TooFewDimensionsError
from jaxmed.inference.joint_test import joint_test_from

pytestmark = pytest.mark.usefixtures("strict_promotion")
TESTS = {
    "cosine": inference.cosine_test,
    "corrected": inference.corrected_cosine_test,
    "joint": inference.joint_test,
    "intersection_union": inference.intersection_union_test,
}
# Op by op they compile for longer; test_jit_vmap_float32_units compares the two.
COMPILED = {name: jax.jit(test) for name, test in TESTS.items()}
printed_df = jax.jit(lambda q: inference.cosine_test(q, df="printed"))


def quadratics(q_aa=0.5, q_ay=1.2, q_yy=9.0, rss=60.0, tau=80.0, m=78, r=10, code=status.OK):
    dtype = jnp.asarray(q_aa).dtype
    cosine = q_ay / np.sqrt(q_aa * q_yy) if q_aa * q_yy else 0.0
    values = (q_aa, q_ay, q_yy, rss, tau, cosine, np.sqrt(1 - cosine**2), m, r)
    return PathQuadratics(*(jnp.asarray(v, dtype) for v in values), status=jnp.int32(code))


def dual():
    return quadratics(rss=np.nan, m=20, r=20, code=status.RESTRICTED)


def test_against_scipy():
    q = quadratics()
    cosine = 1.2 / np.sqrt(4.5)
    statistic = 3 * cosine / np.sqrt(1 - cosine**2)
    test = COMPILED["cosine"](q)
    np.testing.assert_allclose(test.statistic, statistic, rtol=1e-12)
    np.testing.assert_allclose(test.p_value, 2 * st.t.sf(statistic, 9), rtol=1e-10)
    np.testing.assert_allclose(test.p_concordant, st.t.sf(statistic, 9), rtol=1e-10)
    np.testing.assert_allclose(test.p_suppression, st.t.cdf(statistic, 9), rtol=1e-10)
    s2, k = 60 / 68, 10 / 78
    r = max(0, (9 - 10 * s2) / 78) / s2
    v = ((1 - k) * r + k) / (r + k)
    corrected = COMPILED["corrected"](q)
    np.testing.assert_allclose(corrected.statistic, statistic / np.sqrt(v), rtol=1e-12)
    t1 = 1.2 / np.sqrt(s2 * 0.5)
    t2 = np.sqrt(78) * 1.2 / 3 * np.sqrt((1 - k) / v)
    joint = COMPILED["joint"](q)
    np.testing.assert_allclose(joint.statistic_outcome, t1, rtol=1e-12)
    np.testing.assert_allclose(joint.statistic_exposure, t2, rtol=1e-12)
    p1, p2 = 2 * st.t.sf(t1, 68), 2 * st.t.sf(t2, 78)
    np.testing.assert_allclose(joint.p_value, max(p1, p2), rtol=1e-10)
    np.testing.assert_allclose(joint.p_concordant, max(p1, p2) / 2, rtol=1e-10)
    np.testing.assert_allclose(joint.p_suppression, 1 - min(p1, p2) / 2, rtol=1e-10)
    both = COMPILED["intersection_union"](q)
    f_a, f_y = 0.5 * 69 / 10, 9 / (10 * s2)
    np.testing.assert_allclose(both.p_exposure, st.f.sf(f_a, 10, 69), rtol=1e-10)
    np.testing.assert_allclose(both.p_outcome, st.f.sf(f_y, 10, 68), rtol=1e-10)
    assert both.p_value == jnp.maximum(both.p_exposure, both.p_outcome)


def test_dual_has_the_cosine_test_only():
    exact, printed = COMPILED["cosine"](dual()), printed_df(dual())
    assert (exact.df, printed.df) == (19, 20) and exact.status == status.RESTRICTED
    np.testing.assert_allclose(printed.statistic / exact.statistic, np.sqrt(20 / 19))
    assert printed_df(quadratics()).df == 9
    for name in ("corrected", "joint", "intersection_union"):
        result = COMPILED[name](dual())
        assert result.status == status.NOT_IN_DUAL
        assert np.isnan(np.stack(jax.tree.leaves(result)[:-2])).all()
    square = quadratics(m=10, rss=0.0)  # p = m: primal, but nothing is left for s2
    assert COMPILED["joint"](square).status == status.NOT_IN_DUAL
    assert np.isfinite(COMPILED["cosine"](square).p_value)


def test_null_path_gives_p_one():
    for q in (quadratics(q_aa=0.0, q_ay=0.0), quadratics(q_yy=0.0, q_ay=0.0)):
        for name in ("cosine", "corrected", "joint"):
            result = COMPILED[name](q)
            assert result.p_value == 1 and result.status == status.NULL_PATH
    assert COMPILED["intersection_union"](quadratics(q_aa=0.0, q_ay=0.0)).p_exposure == 1


def test_zero_residual():
    for name in ("corrected", "joint", "intersection_union"):
        result = COMPILED[name](quadratics(rss=1e-12))
        assert result.status == status.ZERO_RESIDUAL and np.isnan(result.p_value)
    assert np.isfinite(COMPILED["cosine"](quadratics(rss=1e-12)).p_value)
    assert np.isfinite(COMPILED["joint"](quadratics(rss=1e-7)).p_value)


def test_fatal_status_gives_nan():
    for test in COMPILED.values():
        result = test(quadratics(code=status.RANK_DEFICIENT))
        assert result.status == status.RANK_DEFICIENT and np.isnan(result.p_value)
        assert test(quadratics(code=status.WEIGHTED)).status == status.WEIGHTED


def test_one_dimension():
    with pytest.raises(TooFewDimensionsError, match="needs two"):
        inference.cosine_test(quadratics(r=1))
    for name in ("cosine", "corrected"):
        traced = COMPILED[name](quadratics(r=1))
        assert traced.status == status.NOT_APPLICABLE and np.isnan(traced.p_value)
    assert np.isfinite(COMPILED["joint"](quadratics(r=1)).p_value)


def test_identical_paths_reject():
    q = quadratics(q_ay=np.sqrt(4.5))
    for sign in (1, -1):
        aligned = jax.tree.map(lambda leaf: leaf, q)
        aligned = PathQuadratics(
            **{**vars(aligned), "cosine": jnp.float64(sign), "sine": jnp.float64(0)}
        )
        result = COMPILED["cosine"](aligned)
        assert result.p_value == 0 and result.p_concordant == (0 if sign > 0 else 1)


def test_leave_one_out_needs_rows():
    result = jax.jit(lambda q: inference.joint_test(q, variance="leave_one_out"))(quadratics())
    assert result.status == status.NEEDS_ROWS and np.isnan(result.p_value)
    q = quadratics()

    @jax.jit
    def both(q):
        variance = q.residual_variance * q.exposure_exposure * q.exposure_ss
        return joint_test_from(q, variance).p_value, inference.joint_test(q).p_value

    given, own = both(q)
    assert given == own
    with pytest.raises(ValueError, match="leave_one_out"):
        inference.joint_test(q, variance="hc3")
    with pytest.raises(ValueError, match="printed"):
        inference.cosine_test(q, df="n-2")


@pytest.mark.programs(130, reason="eager, operation by operation, is one of the three compared")
@pytest.mark.parametrize(
    "name",
    [n if n in ("cosine", "joint") else pytest.param(n, marks=pytest.mark.slow) for n in TESTS],
)
def test_jit_vmap_float32_units(name):
    test, compiled, q = TESTS[name], COMPILED[name], quadratics()
    eager = test(q)
    for result in (
        compiled(q),
        jax.tree.map(lambda x: x[1], jax.jit(jax.vmap(test))(stack([q, q]))),
    ):
        for ours, theirs in zip(jax.tree.leaves(result), jax.tree.leaves(eager), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    single = compiled(quadratics(q_aa=np.float32(0.5)))
    assert single.p_value.dtype == jnp.float32
    np.testing.assert_allclose(single.p_value, eager.p_value, rtol=2e-4)
    units = quadratics(q_ay=1.2 * 7, q_yy=9.0 * 49, rss=60.0 * 49, tau=80.0 * 9)
    np.testing.assert_allclose(compiled(units).p_value, eager.p_value, rtol=1e-10)


def stack(items):
    return jax.tree.map(lambda *leaves: np.stack(leaves), *items)
