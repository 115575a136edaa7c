"""One dimension: the joint inference is that of the single mediator, and there are no parts."""

import dataclasses

import jax
import numpy as np
import pytest
from problems import problem

import jaxmed
from jaxmed import inference, status
from jaxmed.analysis.fit import fit
from jaxmed.distributions.exact_law import law, sample_quadratics
from jaxmed.inference.intervals import PARTS
from jaxmed.inference.part_interval import single_interval
from jaxmed.status import Note

pytestmark = pytest.mark.skipif(
    not jax.config.jax_enable_x64, reason="equalities to 1e-9 need float64"
)
KEY = jax.random.key(3)
joint_of = jax.jit(inference.joint_test)
singles_of = jax.jit(lambda q: {part: single_interval(q, part=part) for part in PARTS})
interval_at_90 = jax.jit(lambda paths: single_interval(paths, level=0.9))


@pytest.fixture(scope="module", params=[0, 1, 2])
def fitted(request):
    """One mediator and covariates; seed 1 has a negative product."""
    seed = request.param
    data = problem(np.random.default_rng(seed), 50, 1, 2)
    if seed == 1:
        data = dataclasses.replace(data, outcome=-data.outcome)
    return fit(data, level=0.9)


def test_interval_and_error_of_the_total_are_the_mediators(fitted):
    one = jax.tree.map(lambda leaf: leaf[0], fitted.mediators)
    total = interval_at_90(fitted.paths)
    np.testing.assert_allclose(total.estimate, one.indirect, rtol=1e-10)
    np.testing.assert_allclose(total.standard_error, one.indirect_se, rtol=1e-9)
    limits = (total.interval.lower, total.interval.upper)
    np.testing.assert_allclose(limits, (one.lower, one.upper), rtol=1e-9)
    assert total.interval.method == "product of normals" and total.interval.level == 0.9


def test_joint_and_union_test_are_the_mediators_joint_significance(fitted):
    one = jax.tree.map(lambda leaf: leaf[0], fitted.mediators)
    for joint in (joint_of(fitted.paths), fitted.joint):
        t_alpha, t_beta = one.alpha / one.alpha_se, one.beta / one.beta_se
        sign = np.sign(one.indirect)
        np.testing.assert_allclose(joint.statistic_exposure, sign * abs(t_alpha), rtol=1e-9)
        np.testing.assert_allclose(joint.statistic_outcome, sign * abs(t_beta), rtol=1e-9)
        np.testing.assert_allclose(joint.p_exposure, one.alpha_p, rtol=1e-8)
        np.testing.assert_allclose(joint.p_outcome, one.beta_p, rtol=1e-8)
        np.testing.assert_allclose(joint.p_value, one.p_value, rtol=1e-8)
    union = fitted.intersection_union
    np.testing.assert_allclose(union.statistic_exposure, t_alpha**2, rtol=1e-9)
    np.testing.assert_allclose(union.statistic_outcome, t_beta**2, rtol=1e-9)
    np.testing.assert_allclose(union.p_value, joint.p_value, rtol=1e-8)
    assert (union.df_exposure, union.df_outcome) == (joint.df_exposure, joint.df_outcome)


def test_leave_one_out_variance_keeps_the_exact_statistic_of_alpha():
    data = problem(np.random.default_rng(4), 50, 1, 2)

    @jax.jit
    def both(data):
        paths = jaxmed.paths(data)
        robust = inference.joint_test(paths, data=data, variance="leave_one_out")
        return robust, inference.joint_test(paths)

    robust, plain = both(data)
    np.testing.assert_allclose(robust.statistic_exposure, plain.statistic_exposure, rtol=1e-12)
    assert robust.statistic_outcome != plain.statistic_outcome


def assert_row(found, row, other, other_row):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a[row], np.atleast_1d(b)[other_row], rtol=1e-9)


def test_a_batch_may_mix_one_dimension_with_several():
    """The dimension is traced: a rank, which differs from data set to data set."""

    @jax.jit
    def draw(p, cosine):
        population = law(0.6, 0.5, cosine, exposure_ss=60.0, residual_df=58, num_mediators=p)
        return sample_quadratics(jax.random.fold_in(KEY, p), population, 1)

    one, several = (jax.tree.map(np.asarray, draw(p, c)) for p, c in ((1, -1.0), (4, 0.3)))
    program = jax.jit(jax.vmap(lambda key, q: inference.indirect_intervals(key, q, replicates=200)))
    keys = jax.random.split(KEY, 2)
    mixed, alike = (
        jax.tree.map(
            np.asarray, program(keys, jax.tree.map(lambda *leaves: np.concatenate(leaves), *pair))
        )
        for pair in ((one, several), (several, several))
    )
    single = jax.tree.map(lambda leaf: leaf[0], one)
    parts = singles_of(single)
    for part in PARTS:
        found, alone = mixed[part], parts[part]
        assert_row(found, 0, alone, 0)
        assert_row(found, 1, alike[part], 1)
        assert [int(v) for v in found.notes] == [0 if part == "total" else Note.NO_PARTS, 0]
        assert found.interval.method.endswith(f"; {alone.interval.method} for a single mediator")
        if part != "total":
            missing = (alone.interval.lower, alone.interval.upper, alone.standard_error)
            assert np.isnan(missing).all() and int(alone.status) == status.OK
    total = mixed["total"].estimate[0]
    assert total < 0 and mixed["suppression"].estimate[0] == total
    assert mixed["concordant"].estimate[0] == 0


def test_no_angle_to_permute():
    data = problem(np.random.default_rng(4), 30, 1, 1)
    test = jax.jit(jaxmed.exposure_permutation_test, static_argnums=2)
    found = test(KEY, data, 19)
    assert int(found.status) == status.NOT_APPLICABLE and np.isnan(found.p_value)
