# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Quickstart: does the plasma proteome carry the effect of age?
#
# 127 patients were admitted to one hospital; 102 of them had COVID-19. Each has an age, the number of days out of
# hospital in the 45 days after admission, and the intensities of 517 plasma proteins at admission
# (Overmyer et al. 2021; the file comes with jaxmed, licence MIT). Older patients had fewer days at home. How much of that runs
# through what the proteins measure?
#
# This notebook goes through one analysis from file to report and says how each number is read. Numbers stand in
# the outputs only; the text around them holds whatever they are.
#
# A causal reading of any of it needs exposure before mediators before outcome, a linear model, and no unmeasured
# confounding of exposure, mediators and outcome. One hospital and 102 patients do not promise that.

# %%
import dataclasses
import os
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import jaxmed

jax.config.update("jax_enable_x64", True)  # jaxmed follows the dtype of its input and sets nothing itself
# %config InlineBackend.print_figure_kwargs = {"dpi": 110}
# %matplotlib inline
pd.set_option("display.precision", 3)

# JAXMED_NOTEBOOK_SMALL=1 runs the same cells with few random draws, to test that they work.
SMALL = os.environ.get("JAXMED_NOTEBOOK_SMALL") == "1"
draws = {"permutations": 63, "folds": 2, "replicates": 200} if SMALL else {}
jaxmed.__version__, jax.__version__

# %% [markdown]
# ## 1. From a table to data
#
# `from_frame` takes a pandas or polars table, an AnnData object or a dict of arrays. `where` is a small language of its own
# (`==`, `!=`, `<`, `<=`, `>`, `>=`, `in`, joined by `and`); a glob never picks the exposure, the outcome or a covariate. Covariates are
# projected out of everything, so every number below is given sex. `from_frame` returns the data alone; here the report of what was
# done on the way is kept, so that the summary can repeat it.

# %%
frame = jaxmed.datasets.load("covid_plasma_proteome")
features = jaxmed.datasets.features("covid_plasma_proteome").set_index("column")

roles = {"exposure": "age", "outcome": "hospital_free_days_45", "covariates": ["male"], "where": "covid == 1"}
data, source = jaxmed.from_frame_with_report(frame, mediators="prot_*", **roles)
print(*source.lines(), sep="\n")
data.mediators.shape, data.covariates.shape, data.names.exposure, data.names.outcome

# %% [markdown]
# ## 2. All 517 proteins: more mediators than patients
#
# With more mediators than residual degrees of freedom (p >= n - 1 - q, the *dual* regime) some combination of
# proteins fits the outcome without error. jaxmed then restricts composites to the row space of the mediators and
# says what that costs: there is no residual variance, hence no direct effect by least squares, no debiased parts, no exact law
# and no intersection-union test. What remains is direct and indirect effect by double selection, which needs sparsity, a test
# with random effects of all proteins, the cosine test, the permutation of the exposure, and the effect on rows that the
# composite has not seen. Mediators are standardised first, because in this regime the answer depends on
# their scale.
#
# Every random step takes an explicit key; an integer is recorded as the seed.

# %%
dual = jaxmed.mediate(data, key=0, source=source, **draws)
print(dual.summary())

# %% [markdown]
# The first paragraph is the answer. A dash is never an oversight: each missing number has a status and a sentence that says why it does not exist.

# %%
dual.tests.to_pandas()[["statistic", "df", "p_value", "status"]]

# %% [markdown]
# ## 3. Fifty proteins: fewer mediators than patients
#
# The 50 most abundant proteins were chosen without looking at age or outcome. Now p <= n - 2 - q (the *primal*
# regime), and everything exists.

# %%
abundant = list(features.index[features["abundance_rank"] <= 50])
data50, source50 = jaxmed.from_frame_with_report(frame, mediators=abundant, **roles)
primal = jaxmed.mediate(data50, key=0, source=source50, **draws)
print(primal.summary())

# %% [markdown]
# ### The path plane
#
# Regressing the mediators on the exposure gives one direction, the outcome on the mediators (given the exposure) another. In
# coordinates where the mediators are uncorrelated with unit variance both are plain vectors, the *exposure path* and the
# *outcome path*, and the angle between them is all there is to know about how they combine:
#
# - below 90 degrees, moving along the exposure path raises the outcome on balance; above, it lowers it;
# - the bisector of the two is the composite with the largest indirect effect (**MaxIE**, upward); the bisector of
#   one path and the reverse of the other is the one with the most negative effect (downward);
# - the dashed directions maximise a correlation index instead (**MaxCor**); they are never closer to the exposure path than
#   the bisector is.

# %%
primal.plot_paths()

# %% [markdown]
# ### The decomposition, naive and debiased
#
# total effect = direct effect + total indirect effect, and total indirect effect = upward part + downward part. The last
# line holds exactly, in the sample and in the population.
#
# The upward part (the paper's concordant part) is the *largest* indirect effect of any composite. Its value in the sample ("naive") was
# found by maximising over 50 weights on the same rows, so it is too large even where nothing is there; the
# downward part (suppression) is too negative for the same reason. The debiased estimates correct for the search; their
# intervals come from the exact distribution of the four sums that all of this depends on. Compare the two columns, and the open
# and filled markers in the figure.

# %%
effects = primal.effects.to_pandas()
effects[["method", "of_record", "naive", "estimate", "standard_error", "lower", "upper", "interval", "status"]]

# %%
primal.plot_decomposition()

# %% [markdown]
# The debiased parts add up as the naive ones do, because the total indirect effect needs no correction:

# %%
parts = effects[effects["method"] == "ols"].loc[["concordant", "suppression", "total_indirect"], ["naive", "estimate"]]
pd.DataFrame({"concordant + suppression": parts.iloc[:2].sum(), "total_indirect": parts.iloc[2]})

# %% [markdown]
# ### The composites as variables
#
# A composite is one number per patient, so its two regressions can be looked at like any other. The slopes flatter, because the
# weights were chosen on these patients; outliers and bends that a straight line misses show all the same.

# %%
primal.plot_scores()

# %% [markdown]
# ### Why tests can disagree
#
# They ask different questions.
#
# | test | null hypothesis | blind to |
# |---|---|---|
# | cosine | the paths are at 90 degrees, that is the total indirect effect is zero | paths that are both active but cancel; where the angle is too close to 90 degrees for p, its power tends to 0 with more rows |
# | corrected cosine | the same, repaired where the exposure path is null | the same |
# | total | the total indirect effect is zero, whatever the paths are | paths that cancel, by construction |
# | intersection-union | the exposure moves no mediator, or no mediator moves the outcome | whether the two meet in the same mediators |
# | permutation | the paths are at 90 degrees | as the cosine test; needs no normal errors, works for p > n |
#
# Where the exposure moves the mediators and the mediators move the outcome, the intersection-union test rejects. Where, at the same
# time, the concordant and the suppression part offset each other, the total indirect effect, which is what the cosine test and that of
# the total look at, may be near zero. Then the tests disagree and none is wrong. Compare the `intersection_union` row with the others,
# and both with the decomposition above.

# %%
primal.tests.to_pandas()[["statistic", "df", "p_value", "p_concordant", "p_suppression", "status"]]

# %%
for test in primal.tests:
    print(f"{test['label']}\n    null:  {test['null']}\n    exact: {test['exact']}")

# %% [markdown]
# ## 4. Single proteins
#
# `to_pandas()` (and `mediators.csv`) has every mediator, not only selected ones: weights per unit and per standard deviation for each
# composite, and the two ordinary regressions of that mediator alone: `alpha` (exposure to mediator) and `beta`
# (mediator to outcome given the exposure), their product, the larger of the two p-values and its Benjamini-Hochberg q-value.

# %%
table = dual.to_pandas().join(features["gene"])
lead = table.sort_values("p_value").head(12)
lead[["gene", "alpha", "beta", "indirect", "indirect_lower", "indirect_upper", "p_value", "q_value"]]

# %%
dual.plot_alpha_beta()

# %% [markdown]
# A weight is not an effect. A composite's weight depends on all other proteins, as a coefficient in a multiple
# regression does; alpha and beta of one protein do not. A protein can carry a strong single effect and a small weight because others carry the
# same information, and the reverse. How far do the weights of the suppression composite agree with single effects here?

# %%
agreement = pd.Series(
    {
        "rank correlation of |weight per sd| and -log10 p": table["weight_per_sd_maxie_suppression"]
        .abs()
        .corr(-np.log10(table["p_value"]), method="spearman"),
        "of the 20 largest weights, among the 20 smallest p": len(
            set(table["weight_per_sd_maxie_suppression"].abs().nlargest(20).index)
            & set(table["p_value"].nsmallest(20).index)
        ),
    }
)
agreement

# %%
dual.plot_weights()

# %% [markdown]
# ## 5. Does a learned composite hold on new rows?
#
# The cross-fitted effect learns the MaxIE weights of either sign on four fifths of the rows and measures their indirect effect on the last fifth, five
# times, and takes the median over ten such splits of the rows. It is an honest estimate of a *different* quantity, the effect of composites learned from fewer rows, and in the dual
# it is the only effect of a composite that has an interval.

# %%
crossed = ["cross_fitted", "cross_fitted_suppression"]
pd.concat(
    {
        name: result.effects.to_pandas().loc[crossed, ["estimate", "lower", "upper"]]
        for name, result in (("517 proteins", dual), ("50 proteins", primal))
    }
)

# %% [markdown]
# `evaluate` does the same for several methods with one split, on another outcome: admission to intensive care (0 or 1). Weights,
# standardisation and penalties see the training rows only. On the test rows a composite is one given variable, so that its
# indirect effect there has an ordinary interval; on the training rows it has none. `auc` is that of the composite alone;
# `group_means` is the share in intensive care in fifths of the composite given age. Compare train with test: what
# shrinks was learned from noise.

# %%
icu = jaxmed.from_frame(frame, mediators="prot_*", **(roles | {"outcome": "icu"}))
methods = ("maxie", "maxcor") if SMALL else ("maxie", "maxcor", "lasso_exposure", "lasso_outcome")
held_out = jaxmed.evaluate(icu, methods, key=0, holdout=0.3)
held_out.to_pandas().set_index(["label", "part"])[["indirect", "lower", "upper", "index", "exposure_correlation", "outcome_correlation", "auc", "selected"]]

# %%
held_out.to_pandas().set_index(["label", "part"])["group_means"].apply(lambda m: [round(v, 2) for v in m])

# %% [markdown]
# ## 6. Planning a follow-up
#
# `power` and `sample_size` simulate the tests from the exact law of the four sums, whatever n and p. They take three population
# quantities: how much of the exposure the mediators explain (R² given covariates), how much of the outcome they explain
# given the exposure, and the cosine between the paths. The debiased estimates of this study are one guess; they are uncertain,
# so vary them.

# %%
found = jaxmed.indirect_estimates(primal.fit.paths)
exposure_variance = found.exposure_strength**2 * primal.fit.paths.exposure_ss / (data50.exposure.size - 1 - data50.covariates.shape[1])
outcome_ratio = (found.outcome_strength / found.residual_sd) ** 2
guess = {
    "exposure_r2": float(exposure_variance / (1 + exposure_variance)),
    "outcome_r2": float(outcome_ratio / (1 + outcome_ratio)),
    "cosine": float(found.alignment),
}
guess

# %%
replicates = 2_000 if SMALL else 100_000
planning = jax.jit(
    lambda key, n: jaxmed.power(key, n, 50, num_covariates=1, test="total", replicates=replicates, **guess).power
)
sizes = np.array([100, 150, 200, 300, 500])
pd.Series([float(planning(jax.random.key(1), n)) for n in sizes], index=pd.Index(sizes, name="rows"), name="power of the test of the total")

# %%
needed = jaxmed.sample_size(
    jax.random.key(1), 50, power=0.8, num_covariates=1, test="total", replicates=replicates, **guess
)
print(f"about {int(needed.num_rows)} rows for 80% power, if the guess is right")

# %% [markdown]
# ## 7. Moments: rows that never meet
#
# In the primal everything except the permutation, the leave-one-out variance and cross-fitting depends on the rows through means
# and co-moments only. Moments of disjoint sets of rows merge exactly, so data may arrive in blocks or stay at several
# sites.

# %%
first, second = (jax.tree.map(lambda leaf: leaf[rows], data50) for rows in (slice(0, 40), slice(40, None)))
merged = jaxmed.merge(jaxmed.cross_moments(first), jaxmed.cross_moments(second))


@jax.jit
def from_moments(moments):
    paths = jaxmed.paths(moments)
    return paths.cosine, jaxmed.total_indirect_test(paths).p_value, jaxmed.indirect_estimates(paths).concordant


pd.DataFrame(
    [map(float, from_moments(moments)) for moments in (jaxmed.cross_moments(data50), merged)],
    columns=["cosine", "total, p", "concordant, debiased"],
    index=["all rows", "merged moments"],
)

# %% [markdown]
# ## 8. Batches: jit and vmap
#
# `paths`, `maxie`, `maxcor` and the tests are pure functions; under `jax.vmap` one compiled program treats a whole batch. Four outcomes of the same
# patients at once:

# %%
outcomes = ["hospital_free_days_45", "ventilator_free_days", "icu", "mech_ventilation"]
kept = frame["covid"] == 1
stacked = jnp.asarray(frame.loc[kept, outcomes].to_numpy(float).T)
rows = dataclasses.replace(jax.tree.map(jnp.asarray, data50), names=jaxmed.Names())


@jax.jit
@jax.vmap
def each_outcome(outcome):
    paths = jaxmed.paths(dataclasses.replace(rows, outcome=outcome))
    return paths.cosine, jaxmed.cosine_test(paths).p_value, jaxmed.total_indirect_test(paths).p_value


cosine, cosine_p, total_p = each_outcome(stacked)
pd.DataFrame({"cosine": cosine, "cosine test p": cosine_p, "total, p": total_p}, index=outcomes)

# %% [markdown]
# And the stability of the MaxIE weights under leaving out a tenth of the patients at random, many times:

# %%
count, size = (8, 92) if SMALL else (500, 92)
keys = jax.random.split(jax.random.key(2), count)
scaled, _ = jaxmed.standardise(rows)


@jax.jit
@jax.vmap
def leave_out(key):
    chosen = jax.random.permutation(key, rows.exposure.size)[:size]
    part = jax.tree.map(lambda leaf: leaf[chosen], scaled)
    return jaxmed.maxie(jaxmed.paths(part), sign=-1).weights


weights = np.asarray(leave_out(keys))
order = np.argsort(-np.abs(weights.mean(axis=0)))[:8]
pd.DataFrame(
    {
        "gene": features.loc[np.array(abundant)[order], "gene"].to_numpy(),
        "mean weight per sd": weights.mean(axis=0)[order],
        "sd": weights.std(axis=0, ddof=1)[order],
        "share of equal sign": np.mean(np.sign(weights) == np.sign(weights.mean(axis=0)), axis=0)[order],
    },
    index=np.array(abundant)[order],
)

# %% [markdown]
# ## 9. The report
#
# `save` writes `result.json` (versioned schema, settings and seed included), `mediators.csv`, every figure as PNG and SVG, and one
# self-contained `report.html` that opens in any browser. The command line does the same:
# `jaxmed mediate FILE --exposure age --outcome hospital_free_days_45 --mediators 'prot_*' --covariates male --where 'covid == 1' --out DIR`.

# %%
folder = Path(tempfile.mkdtemp()) / "age"
sorted(str(path.relative_to(folder)) for path in primal.save(folder))
