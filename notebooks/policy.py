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
# # What if: treatment rules and shifted mediators
# What would the mean outcome be if we treated by a rule, say those with a high risk score only? And what if a drug moved two mediators, whoever is treated? Both questions are about means under
# a policy that nobody followed; both answers have intervals.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import jaxmed
from jaxmed import estimands
from jaxmed.simulate.partially_linear import curves_of, partially_linear, sample

jax.config.update("jax_enable_x64", True)
# %config InlineBackend.print_figure_kwargs = {"dpi": 110}
# %matplotlib inline
pd.set_option("display.precision", 3)

# JAXMED_NOTEBOOK_SMALL=1 runs the same cells with fewer rules, to test that they work.
SMALL = os.environ.get("JAXMED_NOTEBOOK_SMALL") == "1"


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
# A trial with a fair coin: the probability of treatment is known. As the data are simulated, so are the truths.

# %%
model = partially_linear("A", 20)
key = jax.random.key(1)
data = jax.jit(sample, static_argnums=2)(key, model, 1000)
curves = curves_of(key, model)
draws = np.random.default_rng(1).normal(size=(2, 400_000))
base = 2 - 2 * np.sqrt(np.abs(draws[0] + 5)).mean() + float(model.beta @ (curves[:, 2] + curves[:, 3]))

# %% [markdown]
# ## 2. Value of a rule
# `rule` is any function of the covariates: 1 treats, 0 does not, between is a probability. With `probability=` the interval needs no model to be right; the outcome regression only makes it shorter.

# %%
def rule(x):
    return x[:, 0] > 0


found = estimands.policy_value(jax.random.key(2), data, rule, probability=0.5)
total = float(model.total)
table(found.values, {"rule": base + total / 2, "observed": base + total / 2, "gain": 0.0, "all": base + total, "none": base})

# %%
forest(found.values, "Mean outcome under policies")

# %% [markdown]
# The treatment helps everybody alike in this design, so that a rule which treats half gains nothing over the coin. `effective_rows` says how many of the rows follow the rule, in effect:

# %%
float(found.effective_rows)

# %% [markdown]
# Were the assignment not known, a logistic model on the same splines would stand in; either this or the outcome regression has to be right.

# %%
modelled = estimands.policy_value(jax.random.key(2), data, rule)
table(modelled.values)

# %% [markdown]
# ## 3. Shares of the treated
# A rule may be a threshold that one wants to choose. Values of a whole family, each with its interval:

# %%
cuts = np.linspace(-1.5, 1.5, 3 if SMALL else 13)
one = jax.jit(lambda d, cut: estimands.policy_value(jax.random.key(2), d, lambda x: x[:, 0] > cut, probability=0.5).values["rule"])
values = [one(data, cut) for cut in cuts]
figure, axes = plt.subplots(figsize=(6, 3.4))
axes.fill_between(cuts, [v.interval.lower for v in values], [v.interval.upper for v in values], alpha=0.25, color="#0072B2")
axes.plot(cuts, [v.estimate for v in values], color="#0072B2", label="estimate, pointwise 95 % interval")
share = np.asarray([(draws[0] > cut).mean() for cut in cuts])
axes.plot(cuts, base + share * total, "k--", label="truth")
axes.set(xlabel="treat above", ylabel="mean outcome")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# The best of the family, chosen from this picture, has an interval that is too optimistic: choose on one half of the data and evaluate on the other.
#
# ## 4. Shifted mediators
# A drug that adds 1 to the third mediator and takes half a unit from the fifth, whatever the treatment:

# %%
moved = estimands.shift_value(jax.random.key(3), data, {2: 1.0, 4: -0.5})
table(moved.values, {"shifted": base + total / 2 + 0.5, "observed": base + total / 2, "change": 0.5})
