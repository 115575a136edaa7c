"""AnnData and MuData: layers, obsm, names of features, genes in any role; also in blocks."""

import numpy as np
import pytest

anndata = pytest.importorskip("anndata")
pandas = pytest.importorskip("pandas")
sparse = pytest.importorskip("scipy.sparse")

from jaxmed.data import FileOptions, InvalidDataError, from_frame  # noqa: E402
from jaxmed.data.frames import table_of  # noqa: E402
from jaxmed.data.streams import stream  # noqa: E402

N, P = 12, 4
ROLES = {"exposure": "age", "outcome": "score"}


@pytest.fixture(scope="module")
def whole():
    rng = np.random.default_rng(0)
    counts = rng.poisson(3, size=(N, P))
    obs = pandas.DataFrame(
        {"age": rng.normal(size=N), "score": rng.normal(size=N), "site": list("abc") * 4},
        index=[f"cell{i}" for i in range(N)],
    )
    var = pandas.DataFrame(
        {"symbol": [f"GENE{j}" for j in range(P)]}, index=[f"ENS{j}" for j in range(P)]
    )
    made = anndata.AnnData(sparse.csr_matrix(counts.astype("f4")), obs=obs, var=var)
    made.layers["log"] = np.log1p(counts)
    made.layers["sparse"] = sparse.csr_matrix(np.log1p(counts))
    made.obsm["X_pca"] = rng.normal(size=(N, 2))
    made.obsm["scores"] = pandas.DataFrame(
        {"s1": rng.normal(size=N), "s2": rng.normal(size=N)}, index=obs.index
    )
    return made


CHOICES = [
    ({}, "ENS*", lambda a: a.X.toarray()),
    ({"layer": "log"}, "ENS*", lambda a: a.layers["log"]),
    ({"layer": "sparse"}, "ENS*", lambda a: a.layers["log"]),
    ({"layer": "log", "var_names": "symbol"}, "GENE*", lambda a: a.layers["log"]),
    ({"obsm": "X_pca"}, "X_pca_*", lambda a: a.obsm["X_pca"]),
    ({"obsm": "scores"}, "s*", lambda a: a.obsm["scores"].to_numpy()),
]


@pytest.mark.parametrize(("choice", "glob", "expected"), CHOICES)
def test_mediators_from_x_a_layer_or_obsm(whole, tmp_path, choice, glob, expected):
    path = tmp_path / "t.h5ad"
    whole.write_h5ad(path)
    options = FileOptions(**choice)
    found = from_frame(path, **ROLES, mediators=glob, covariates=["site"], options=options)
    np.testing.assert_array_equal(found.mediators, expected(whole))
    assert found.names.covariates == ("site[b]", "site[c]")
    if choice.get("obsm") != "scores":
        (block,) = stream(path, **ROLES, mediators=glob, options=options).blocks()
        np.testing.assert_array_equal(block.data.mediators, expected(whole))


def test_a_gene_can_have_any_role(whole):
    expected = whole.X.toarray()
    found = from_frame(
        whole,
        exposure="ENS0",
        outcome="score",
        mediators="ENS*",
        covariates=["ENS2"],
        where="ENS1 >= 2",
    )
    rows = expected[:, 1] >= 2
    np.testing.assert_array_equal(found.exposure, expected[rows, 0])
    np.testing.assert_array_equal(found.covariates[:, 0], expected[rows, 2])
    assert found.names.mediators == ("ENS1", "ENS3")


def test_what_is_not_there_is_named_with_what_is(whole, tmp_path):
    path = tmp_path / "t.h5ad"
    whole.write_h5ad(path)
    for choice, message in (
        ({"layer": "raw"}, r"no layer 'raw'; there are \['log', 'sparse'\]"),
        ({"obsm": "X_umap"}, r"no obsm 'X_umap'; there are \['X_pca', 'scores'\]"),
        ({"var_names": "gene"}, r"var has no column 'gene'; it has \['symbol'\]"),
        ({"layer": "log", "obsm": "X_pca"}, "not both"),
    ):
        with pytest.raises(InvalidDataError, match=message):
            table_of(path, options=FileOptions(**choice))
    bare = anndata.AnnData(obs=whole.obs)
    with pytest.raises(InvalidDataError, match="no X: name a layer or obsm"):
        from_frame(bare, **ROLES, mediators="*")


def test_features_of_several_modalities(whole, tmp_path):
    mudata = pytest.importorskip("mudata")
    proteins = anndata.AnnData(np.arange(16.0).reshape(8, 2), obs=whole.obs.iloc[2:10][[]])
    proteins.var_names = ["CD4", "CD8"]
    both = mudata.MuData({"rna": whole[:, :2].copy(), "prot": proteins})
    both.obs["age"] = whole.obs["age"].reindex(both.obs_names)
    both.obs["score"] = whole.obs["score"].reindex(both.obs_names)
    path = tmp_path / "t.h5mu"
    both.write_h5mu(path)
    for frame in (both, path):
        found = from_frame(frame, **ROLES, mediators=["prot:CD8", "rna:*"], nan_policy="drop")
        assert found.names.mediators == ("prot:CD8", "rna:ENS0", "rna:ENS1")
        np.testing.assert_array_equal(found.mediators[:, 0], np.arange(1.0, 16, 2))
        np.testing.assert_array_equal(found.mediators[:, 1], whole.X.toarray()[2:10, 0])
        np.testing.assert_array_equal(found.exposure, whole.obs["age"].iloc[2:10])
