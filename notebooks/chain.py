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
# # A chain: exposure, first block, second block, outcome
# A treatment changes gene expression, which changes proteins, which change the outcome; it may also reach the proteins, or the outcome, directly. `estimands.chain` tells the four paths apart.
# The order of the blocks is assumed: no data set knows it.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import jaxmed
from jaxmed import estimands
from jaxmed.simulate.chain import ChainModel, sample_chain

jax.config.update("jax_enable_x64", True)
# %config InlineBackend.print_figure_kwargs = {"dpi": 110}
# %matplotlib inline
pd.set_option("display.precision", 3)


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

# %%
link = jnp.zeros((5, 5)).at[jnp.asarray([0, 1, 2]), jnp.asarray([0, 1, 0])].set(jnp.asarray([0.7, 0.5, -0.4]))
model = ChainModel(
    first_alpha=jnp.asarray([1.0, 0.8, 0.0, 0.5, 0.0]), second_alpha=jnp.asarray([0.5, 0.0, 0.6, 0.0, 0.0]), link=link,
    first_beta=jnp.asarray([0.5, 0.0, 0.6, 0.4, 0.0]), second_beta=jnp.asarray([1.0, 0.8, 0.5, 0.0, 0.4]),
    direct=jnp.asarray(0.5), correlation=jnp.asarray(0.4),
)
drawn = jax.jit(sample_chain, static_argnums=2)(jax.random.key(1), model, 1000)
genes, proteins = [f"gene {i}" for i in range(1, 6)], [f"protein {i}" for i in range(1, 6)]
data = jaxmed.mediation_data(
    *(np.asarray(column) for column in (drawn.exposure, drawn.mediators, drawn.outcome, drawn.covariates)),
    names={"mediators": genes + proteins, "exposure": "treated", "outcome": "score"},
)

# %% [markdown]
# ## 2. Four paths and their sum
# The total is that of least squares of the outcome on the treatment, to rounding.

# %%
found = estimands.chain(jax.random.key(2), data, genes, proteins)
table(found.effects, {name: float(value) for name, value in model.effects.items()})

# %%
forest(found.effects, "Effects along the paths")

# %% [markdown]
# ## 3. From which gene through which protein
# `pairs` splits the path through both blocks; `link` is protein per unit of gene.

# %%
pd.DataFrame(np.asarray(found.pairs), index=genes, columns=proteins)

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True)
for ax, values, title in ((axes[0], found.link, "estimated links"), (axes[1], model.link, "true links")):
    ax.imshow(np.asarray(values).T, cmap="RdBu_r", vmin=-0.8, vmax=0.8)
    ax.set(xticks=range(5), xticklabels=proteins, yticks=range(5), yticklabels=genes, title=title)
    ax.tick_params(axis="x", rotation=60)
plt.show()

# %% [markdown]
# ## 4. Without trust in sparsity
# The default finds the support of every equation by lasso and BIC, and its intervals do not know of links that were missed. `adjust="all"` misses none, and is wider.

# %%
every = estimands.chain(jax.random.key(2), data, genes, proteins, adjust="all")
pd.DataFrame({"sparse": np.asarray(found.effects.standard_error), "all": np.asarray(every.effects.standard_error)}, index=found.effects.names)
