"""The estimators of record in slow numpy: explicit hat matrices, an iterative lasso, loops."""

import warnings

import numpy as np
from sklearn.linear_model import lasso_path

Z = 1.959963984540054


def hat(x):
    return x @ np.linalg.pinv(x)


def lasso(gram, score, grid):
    """Lasso from moments, by its rows: a square root of the Gram matrix."""
    values, vectors = np.linalg.eigh(gram)
    keep = values > 1e-12 * values.max()
    root = (vectors[:, keep] * np.sqrt(values[keep])).T
    response = (vectors[:, keep] / np.sqrt(values[keep])).T @ score
    k = len(response)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = lasso_path(
            root * np.sqrt(k), response * np.sqrt(k), alphas=grid, tol=1e-14, max_iter=500_000
        )[1].T
    return np.where(np.abs(path) > 1e-9, path, 0)


def grid_of(score, count, ratio):
    return np.abs(score).max() * ratio ** np.linspace(0, 1, count)


class Problem:
    """Everything that the covariates' base leaves."""

    def __init__(self, t, m, y, base):
        self.n, self.p = m.shape
        self.base = base
        self.q = base.shape[1]
        off = np.eye(self.n) - hat(base)
        self.t, self.m, self.y = off @ t, off @ m, off @ y
        self.ss = self.t @ self.t
        self.alpha = self.m.T @ self.t / self.ss
        self.noise = self.m - np.outer(self.t, self.alpha)
        self.total = self.t @ self.y / self.ss
        self.u = self.y - self.t * self.total
        self.h0 = np.diag(hat(np.c_[base, self.t]))
        self.alpha_var = (self.t**2 / (1 - self.h0) ** 2) @ self.noise**2 / self.ss**2

    def fit(self, chosen):
        """Coefficients, residual and leverage of y on exposure and the chosen mediators."""
        x = np.c_[self.t, self.m[:, chosen]]
        b = np.linalg.lstsq(x, self.y, rcond=None)[0]
        return b, self.y - x @ b, np.diag(hat(np.c_[self.base, x]))

    def effects(self, chosen, variance):
        """DE, TIE and their variances by section 1."""
        chosen = np.flatnonzero(chosen)
        b, r, h = self.fit(chosen)
        others = self.m[:, chosen]
        w = self.t - hat(others) @ self.t if len(chosen) else self.t
        hw = w / (w @ self.t)
        direct_var = np.sum(hw**2 * r**2 / (1 - h))
        if variance == "path_sum":
            path = np.sum((self.t / self.ss) ** 2 * (self.u - r) ** 2 / (1 - self.h0) ** 2)
        else:
            gain = self.u**2 / (1 - self.h0) ** 2 - r**2 / ((1 - h) * (1 - self.h0))
            path = max(0, np.sum((self.t / self.ss) ** 2 * gain))
        indirect_var = np.sum((self.t / self.ss - hw) ** 2 * r**2 / (1 - h)) + path
        return b[0], self.total - b[0], direct_var, indirect_var

    def coefficient(self, k, others):
        """b_k and its HC2 variance in the model with exposure and `others`."""
        others = np.array([j for j in others if j != k], int)
        b, r, h = self.fit(np.r_[k, others].astype(int))
        rest = np.c_[self.t, self.m[:, others]]
        w = self.m[:, k] - hat(rest) @ self.m[:, k]
        return b[1], np.sum((w / (w @ self.m[:, k])) ** 2 * r**2 / (1 - h))

    def scaled(self):
        sd = np.sqrt(np.mean(self.m**2, axis=0))
        return self.m / sd, self.noise / sd

    def outcome_support(self, count, ratio):
        _, e = self.scaled()
        score = e.T @ self.u / self.n
        path = lasso(e.T @ e / self.n, score, grid_of(score, count, ratio))
        best, chosen = np.inf, np.zeros(self.p, bool)
        for b in path:
            inside = b != 0
            size = inside.sum()
            if self.n - 1 - self.q - size < 2:
                continue
            x = e[:, inside]
            rss = np.sum((self.u - (hat(x) @ self.u if size else 0)) ** 2)
            value = self.n * np.log(rss / self.n) + size * (np.log(self.n) + np.log(self.p))
            if value < best - 1e-9:
                best, chosen = value, inside
        return chosen

    def exposure_support(self, folds, count, ratio, zz=None):
        m, _ = self.scaled()
        score = m.T @ self.t / self.n
        grid = grid_of(score, count, ratio)
        loss = np.zeros(count)
        for k in np.unique(folds):
            out = folds == k
            kept = ~out
            path = lasso(
                m[kept].T @ m[kept] / kept.sum(), m[kept].T @ self.t[kept] / kept.sum(), grid
            )
            loss += np.sum((self.t[out, None] - m[out] @ path.T) ** 2, axis=0)
        best = int(np.argmin(loss))
        path = lasso(m.T @ m / self.n, score, grid)
        if zz is not None:
            w = self.t[:, None] - m @ path.T
            factor = np.sum(w**2, axis=0) / (w.T @ self.t) ** 2
            best = int(np.flatnonzero(factor <= zz * factor[best]).max())
        return path[best] != 0

    def nodewise_supports(self, folds, count, ratio):
        e = self.noise / np.sqrt(np.mean(self.noise**2, axis=0))
        gram = e.T @ e / self.n
        grid = grid_of((gram - np.eye(self.p)).ravel(), count, ratio)
        loss = np.zeros(count)
        for k in np.unique(folds):
            out = folds == k
            train = e[~out].T @ e[~out] / (~out).sum()
            for j in range(self.p):
                o = np.arange(self.p) != j
                path = lasso(train[o][:, o], train[o, j], grid)
                loss += np.sum((e[out, j][:, None] - e[out][:, o] @ path.T) ** 2, axis=0)
        best = int(np.argmin(loss))
        chosen = np.zeros((self.p, self.p), bool)
        for j in range(self.p):
            o = np.arange(self.p) != j
            chosen[j, o] = lasso(gram[o][:, o], gram[o, j], grid[best : best + 1])[0] != 0
        return chosen
