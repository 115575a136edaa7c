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
# # A group disparity in parts
# Two groups differ in a health outcome. How much of the difference would go if group 1 had the lipids of group 0, how much with its inflammation markers,
# and what is left? The data are simulated, so that every part has a truth; group membership depends on age, so that a share of the disparity is age.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import jaxmed
from jaxmed import estimands, gahmn
from jaxmed.simulate.partially_linear import PartiallyLinear, sample

jax.config.update("jax_enable_x64", True)
# %config InlineBackend.print_figure_kwargs = {"dpi": 110}
# %matplotlib inline
pd.set_option("display.precision", 3)

# JAXMED_NOTEBOOK_SMALL=1 runs the same cells with few training steps, to test that they work.
SMALL = os.environ.get("JAXMED_NOTEBOOK_SMALL") == "1"
config = gahmn.improved().with_steps(100 if SMALL else 3000)


def table(terms, truth=None):
    """Estimates with their intervals, and the truth of the simulation beside them."""
    frame = pd.DataFrame(terms.rows()).set_index("name")
    return frame if truth is None else frame.assign(truth=pd.Series(truth))


def forest(terms, title):
    """Estimates with their intervals."""
    frame = pd.DataFrame(terms.rows()).set_index("name")[::-1]
    figure, axes = plt.subplots(figsize=(6, 0.45 * len(frame) + 1))
    at = np.arange(len(frame))
    bars = np.abs(frame[["lower", "upper"]].to_numpy().T - frame["estimate"].to_numpy())
    axes.errorbar(frame["estimate"], at, xerr=bars, fmt="o", capsize=3, color="#0072B2", label="estimate, 95 % interval")
    axes.axvline(0, color="0.7", lw=1)
    axes.set(yticks=at, yticklabels=frame.index, xlabel="outcome units", title=title)
    axes.legend(frameon=False, fontsize=8)
    plt.show()

# %% [markdown]
# ## 1. The data
# Three sets of mediators with names. Rows are accepted so that older people are more often in group 1.

# %%
names = [f"lipid {i}" for i in (1, 2, 3)] + [f"inflammation {i}" for i in (1, 2, 3)] + [f"metabolite {i}" for i in (1, 2, 3, 4)]
alpha = jnp.asarray([0.8, 0.5, 0.0, 0.6, 0.4, 0.0, 0.5, 0.0, 0.0, 0.0])
beta = jnp.asarray([0.6, 0.4, 0.5, 0.5, 0.8, 0.0, 0.4, 0.0, 0.0, 0.3])
model = PartiallyLinear(alpha, beta, jnp.asarray(0.5), jnp.asarray(0.4))

drawn = jax.jit(sample, static_argnums=2)(jax.random.key(1), model, 3000)
older = 1 / (1 + np.exp(-np.asarray(drawn.covariates)[:, 0] / 2))
accept = np.random.default_rng(1).random(3000) < np.where(drawn.exposure == 1, older, 1 - older)
rows = np.flatnonzero(accept)[:1200]
data = jaxmed.mediation_data(
    *(np.asarray(column)[rows] for column in (drawn.exposure, drawn.mediators, drawn.outcome, drawn.covariates)),
    names={"exposure": "group", "outcome": "score", "mediators": names, "covariates": ["age", "income"]},
)
data.mediators.shape, float(data.exposure.mean())

# %% [markdown]
# ## 2. The parts
# The part through a set is what the mean outcome of group 1 would lose if the set came to it as it comes to group 0, everything else as it is. All terms are in units of the outcome.

# %%
sets = {kind: [name for name in names if name.startswith(kind)] for kind in ("lipid", "inflammation", "metabolite")}
found = estimands.disparity(jax.random.key(2), data, sets)
truth = {kind: float(sum(alpha[names.index(n)] * beta[names.index(n)] for n in members)) for kind, members in sets.items()}
table(found.terms, {**truth, "other mediators": 0.0, "direct": 0.5})

# %% [markdown]
# `disparity` is the sets, `other mediators` (here none), `direct` and `covariates` added up, to rounding; `unexplained` is what the sets leave. One covariance holds for all terms, so that
# any combination has an interval: is lipids' part larger than that of inflammation?

# %%
difference = found.terms.contrast({"lipid": 1, "inflammation": -1})
float(difference.estimate), float(difference.interval.lower), float(difference.interval.upper)

# %%
forest(found.terms, "Where the disparity is")

# %% [markdown]
# ## 3. Do the parts add up?
# They do where sets do not act on each other. `gap` is the part of all sets at once less the sum of their parts, from products of the sets' scores in the outcome's equation; its interval covers 0 here.

# %%
table(found.gap)

# %% [markdown]
# Now an outcome in which the first lipid and the first inflammation marker aggravate each other. The gap is -0.4 x 0.8 x 0.6 = -0.19; the products of whole sets' scores
# see a part of it, which is enough to say that the parts above would not add up:

# %%
both = data.mediators[:, 0] * data.mediators[:, 3]
acting = jaxmed.mediation_data(data.exposure, data.mediators, data.outcome + 0.4 * both, data.covariates, names=data.names)
table(estimands.disparity(jax.random.key(2), acting, sets).gap)

# %% [markdown]
# ## 4. A generator beside the estimates
# With `generator=` the same parts are also means over draws of trained generators, here of GAHMN; any object with four methods will do (docs/beyond_mediation.md). They have no interval.
# These generators are partially linear and have no gap by construction: theirs checks the arithmetic.

# %%
beside = jax.jit(lambda d: estimands.disparity(jax.random.key(2), d, sets, generator=config))(data)
generated = dict(zip(sets, map(float, beside.generated.parts))) | {"disparity": float(beside.generated.disparity)}
table(beside.terms).assign(generated=pd.Series(generated)).loc[list(generated)]

# %%
float(beside.generated.gap)
