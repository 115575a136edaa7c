"""Every estimator but the one that trains networks, in a small configuration."""

from jaxmed import estimators, registry

SMALL = {"folds": 3, "num_penalties": 10}
METHODS = {
    "ols": estimators.ols(),
    "double_selection": estimators.double_selection(**SMALL),
    "double_selection_zz": estimators.double_selection(rule="zz", **SMALL),
    "post_selection": estimators.post_selection(num_penalties=20),
    "hima": estimators.hima(num_penalties=20),
    "guo": estimators.guo(num_penalties=20),
    "plsem": estimators.plsem(basis="given", num_penalties=20),
    "hima2": estimators.hima2(adjust="bh", **SMALL),
    "ehima": estimators.ehima(num_penalties=20),
    "hdma": estimators.hdma(**SMALL),
    "hilma": estimators.hilma(),
    "medfix": estimators.medfix(nlambda2=0, folds=3, num_penalties=20),
    "pathway_lasso": estimators.pathway_lasso(splits=2, lam=(0.01, 0.05, 0.2)),
    "pcma": estimators.pcma(components=1, replicates=20),
    "spcma": estimators.spcma(components=1, replicates=20),
    "meddic": estimators.meddic(**SMALL),
    "maxie": estimators.maxie(),
    "maxcor": estimators.maxcor(),
    "reg_outcome": estimators.reg_outcome(),
    "reg_exposure": estimators.reg_exposure(),
    "directions": estimators.directions(),
    "numerical": estimators.numerical(),
    "lasso_exposure": estimators.lasso_exposure(),
    "lasso_outcome": estimators.lasso_outcome(),
}
# Closed forms of the data, with derivatives in the columns.
DIFFERENTIABLE = {"ols", "maxie", "maxcor", "reg_outcome", "reg_exposure"}
# Folds or draws, by position of the rows.
BY_POSITION = {
    "double_selection",
    "double_selection_zz",
    "hima2",
    "hdma",
    "medfix",
    "pathway_lasso",
    "pcma",
    "spcma",
    "meddic",
    "lasso_exposure",
    "lasso_outcome",
}
# Whose answer depends on the units of the mediators: weights of norm or variance one.
BY_UNITS = {"directions", "pcma", "spcma"}
# Whose key matters.
RANDOM_METHODS = {name for name in METHODS if registry.METHODS[name].random}
