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
# # A simulation study of your own
#
# Somebody proposes to summarise hundreds of mediators by their first principal component. How much of an indirect effect does that
# find, beside the composites of jaxmed, when the exposure is a treatment and the errors have heavy tails? This notebook puts a new
# estimator and a new data generator into a study, looks at the table with its Monte Carlo errors, makes the study resumable, and asks
# one of its data sets for a bootstrap.

# %%
import os
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import jaxmed
from jaxmed import estimators

jax.config.update("jax_enable_x64", True)
# %config InlineBackend.print_figure_kwargs = {"dpi": 110}
# %matplotlib inline
pd.set_option("display.precision", 3)

# JAXMED_NOTEBOOK_SMALL=1 runs the same cells with few replicates, to test that they work.
SMALL = os.environ.get("JAXMED_NOTEBOOK_SMALL") == "1"
REPLICATES = 40 if SMALL else 2000
ROWS, MEDIATORS = 200, 20

# %% [markdown]
# ## 1. Ten lines
#
# A generator is any function `(key, parameters) -> data`, an estimator any function `(key, data) -> Estimate`; `from_weights` makes one from a
# rule for weights. All methods see the same data set in a replicate, and each has random numbers of its own, so that adding a method
# leaves the numbers of the others as they were.

# %%
def trial(key, strength):
    """A coin-flip treatment, correlated mediators, t(4) errors; half of the mediators respond."""
    keys = jax.random.split(key, 4)
    treated = jax.random.bernoulli(keys[0], shape=(ROWS,)).astype(float)
    common = jax.random.normal(keys[1], (ROWS, 1))
    effect = strength * (jnp.arange(MEDIATORS) < MEDIATORS // 2)
    proteins = treated[:, None] * effect + common + jax.random.normal(keys[2], (ROWS, MEDIATORS))
    outcome = 0.2 * proteins @ effect + 0.3 * treated + jax.random.t(keys[3], 4.0, (ROWS,))
    return jaxmed.mediation_data(treated, proteins, outcome)


def first_component(key, data, paths):
    """Weights of the first principal component; no random numbers, nothing that can fail."""
    centred = data.mediators - data.mediators.mean(axis=0)
    return jnp.linalg.eigh(centred.T @ centred)[1][:, -1], jnp.int32(0), None


methods = {
    "component": estimators.from_weights(first_component),
    "maxie": estimators.maxie(),
    "total indirect": estimators.reg_exposure(),
}
task = jaxmed.study_task(trial, methods)
found = jaxmed.sweep(jax.random.key(1), task, REPLICATES, parameters=0.5, chunk=200)

# %% [markdown]
# Every mean has its Monte Carlo standard error: how far it would move if the whole simulation were done again with another seed. It says
# nothing about the method; more replicates make it smaller.

# %%
def table(summary):
    rows = {name: measure for name, measure in summary.values.items() if name.endswith("indirect")}
    return pd.DataFrame(
        {name.rpartition("/")[0]: [m.mean, m.standard_error, m.sd, m.count] for name, m in rows.items()},
        index=["mean", "Monte Carlo se", "sd over replicates", "replicates"],
    ).T


truth = 0.5 * 0.2 * 0.5 * (MEDIATORS // 2)
print(f"true total indirect effect: {truth:.2f}")
table(found)

# %% [markdown]
# The component follows what the mediators share, which the treatment does not move, and finds a part of the effect. MaxIE aims at the most
# that any composite carries, and is optimistic about it on the rows it was learned from; the regression of the exposure carries the
# total indirect effect. Replicates that failed would be counted here by their status, never dropped in silence:

# %%
found.statuses

# %% [markdown]
# ## 2. A grid
#
# Parameters are traced: another strength is another call of the same compiled program. A `Cell` names one setting; the name makes its key.

# %%
strengths = (0.0, 0.25, 0.5, 0.75)


def cells(scale):
    return [
        jaxmed.Cell(f"strength={s}", task, jnp.asarray(s), count=max(int(REPLICATES * scale), 20), chunk=100)
        for s in strengths
    ]


def report(results, once):
    """One row per setting and method, every number with its Monte Carlo standard error."""
    from jaxmed.reports.sections import Section, TidyTable

    rows = [
        {"strength": s, "truth": 0.2 * s * s * (MEDIATORS // 2)}
        | {m: (f.mean, f.standard_error) for m in methods if (f := results[f"strength={s}"][f"{m}/indirect"])}
        for s in strengths
    ]
    columns = {"strength": "Strength", "truth": "Truth"} | {m: m.capitalize() for m in methods}
    return [Section("means", "Mean indirect effect", table=TidyTable(columns, rows, "Means over replicates."))]


study = jaxmed.Study("own/component", "First component beside composites", cells, report)
result = jaxmed.run_study(study, scale=0.5)
print(result.summary())

# %%
figure, axes = plt.subplots(figsize=(6, 3.6))
for method in methods:
    values = [result.results[f"strength={s}"][f"{method}/indirect"] for s in strengths]
    means, errors = zip(*((v.mean, 2 * v.standard_error) for v in values), strict=True)
    axes.errorbar(strengths, means, errors, marker="o", label=method, capsize=3)
axes.plot(strengths, [0.2 * s * s * (MEDIATORS // 2) for s in strengths], "k--", label="truth")
axes.set(xlabel="strength of the paths", ylabel="mean indirect effect", title="Bars: two Monte Carlo standard errors")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# ## 3. A study that survives
#
# With `out=` the same study goes through a run directory: every chunk is written whole or not at all, the same call resumes after an
# interruption, and the numbers are the same to the last bit. From a shell, where the study stands in a file, `jaxmed study run FILE.py:study --out DIR
# --workers 4` does it with processes that may be killed at any time; `docs/studies.md` has the rest, a cluster included.

# %%
with tempfile.TemporaryDirectory() as folder:
    stored = jaxmed.run_study(study, scale=0.5, out=folder)
    files = sorted({path.suffix for path in Path(folder).rglob("*") if path.is_file()})
same = all(
    stored.results[name][column] == value
    for name, summary in result.results.items()
    for column, value in summary.values.items()
)
files, same

# %% [markdown]
# ## 4. Where data are not needed
#
# For Gaussian linear models the four numbers behind every test have an exact law that is sampled without data, a million replicates a
# second and more. The same score runs at three levels; what a table says comes from one of them, and says from which.

# %%
from jaxmed.simulate import ar1_factor, law_of, linear_sem
from jaxmed.sweeps import path_task

model = linear_sem(
    jnp.zeros(MEDIATORS).at[0].set(0.3), jnp.zeros(MEDIATORS).at[0].set(0.4), lower=ar1_factor(MEDIATORS, 0.75)
)
counts = {"data": REPLICATES, "gram": REPLICATES, "exact": 10_000 if SMALL else 500_000}
power = {}
for level, count in counts.items():
    rejects = path_task(
        level,
        lambda q: {"cosine": jaxmed.cosine_test(q).p_value <= 0.05, "joint": jaxmed.joint_test(q).p_value <= 0.05},
        num_rows=ROWS,
        num_mediators=MEDIATORS,
    )
    parameters = model if level == "data" else law_of(model, ROWS)
    chunk = 10_000 if level == "exact" else 200
    found = jaxmed.sweep(jax.random.key(2), rejects, count, parameters=parameters, chunk=chunk)
    power[level] = {test: f"{m.mean:.4f} ({m.standard_error:.4f})" for test, m in found.values.items()}
pd.DataFrame(power).T.rename_axis("level").add_prefix("power, ")

# %% [markdown]
# ## 5. One data set, resampled
#
# A bootstrap is a sweep over case weights of one data set. Which of its intervals cover, and for which estimators, stands in its docstring: for the
# in-sample effect of optimised weights the percentile interval does not.

# %%
data = jax.tree.map(np.asarray, trial(jax.random.key(3), 0.5))
resampled = jaxmed.bootstrap(jax.random.key(4), data, estimators.reg_exposure(), 64 if SMALL else 2000)
measure = resampled["indirect"]
pd.DataFrame(
    {name: [limits.lower, limits.upper] for name, limits in measure.intervals.items()}, index=["lower", "upper"]
).assign(estimate=measure.estimate, standard_error=measure.standard_error)

# %%
axes = plt.figure(figsize=(6, 3)).subplots()
axes.hist(resampled.draws["indirect"], bins=40, color="#0072B2")
axes.axvline(measure.estimate, color="k")
axes.set(xlabel="total indirect effect", ylabel="resamples", title="Bayesian bootstrap of one trial")
plt.show()
