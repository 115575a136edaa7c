"""The same quantities as an analyst would write them with NumPy and SciPy; no code of jaxmed."""

import os

import numpy as np
import scipy.linalg
import scipy.special
import scipy.stats


def primal(exposure, mediators, outcome, *, tuned: bool = False, factor_dtype=None) -> dict:
    """MaxIE composite and cosine test statistic: centre, X'X, Cholesky, two solves.

    `tuned` leaves out SciPy's checks for NaN and its copy of the matrix; `factor_dtype` is the
    precision of the factorisation if it is not that of the data.
    """
    a, y = exposure - exposure.mean(), outcome - outcome.mean()
    x = mediators - mediators.mean(axis=0)
    return from_sums(a @ a, a @ y, y @ y, x.T @ a, x.T @ y, x.T @ x, len(a), tuned, factor_dtype)


def from_sums(tau, ay, yy, xa, xy, gram, n, tuned=False, factor_dtype=None) -> dict:
    if factor_dtype is not None:
        xa, xy, gram = (v.astype(factor_dtype) for v in (xa, xy, gram))
    gamma = xy - xa * (ay / tau)
    gram -= np.outer(xa, xa / tau)
    options = {"check_finite": False, "overwrite_a": True} if tuned else {}
    factor = scipy.linalg.cho_factor(gram, lower=True, **options)
    rhs = np.stack([xa, gamma], axis=1)
    solution = scipy.linalg.cho_solve(factor, rhs, check_finite=not tuned)
    inner = rhs.T @ solution
    result = bisector(solution, inner, tau, ay, n)
    return {**result, "T": statistic(result["cosine"], min(len(xa), n - 2) - 1)}


def bisector(solution, inner, tau, ay, n) -> dict:
    """Weights S^-1 (s/|a| + gamma/|y|), scaled to variance 1, and the effects of the composite."""
    norm_a, norm_y = np.sqrt(inner[0, 0]), np.sqrt(inner[1, 1])
    cosine = inner[0, 1] / (norm_a * norm_y)
    along_a, along_y = norm_a * (1 + cosine), norm_y * (1 + cosine)
    variance = (2 + 2 * cosine + along_a**2 / tau) / (n - 1)
    alpha = along_a / tau / np.sqrt(variance)
    beta = along_y / (2 + 2 * cosine) * np.sqrt(variance)
    weights = (solution[:, 0] / norm_a + solution[:, 1] / norm_y) / np.sqrt(variance)
    total = ay / tau
    return {
        "weights": weights,
        "alpha": alpha,
        "beta": beta,
        "indirect": alpha * beta,
        "direct": total - alpha * beta,
        "total": total,
        "cosine": cosine,
    }


def statistic(cosine, df):
    return np.sqrt(df) * cosine / np.sqrt((1 - cosine) * (1 + cosine))


def single_mediators(exposure, mediators, outcome, level: float = 0.95) -> dict:
    """2p regressions: standard errors, t tests, Sobel intervals, Benjamini-Hochberg.

    jaxmed's table has exact product-of-normals intervals instead, for which SciPy has nothing.
    """
    a, y = exposure - exposure.mean(), outcome - outcome.mean()
    x = mediators - mediators.mean(axis=0)
    m, tau = len(a) - 2, a @ a
    cross = a @ x
    yperp = y - a * ((a @ y) / tau)
    given = np.einsum("ij,ij->j", x, x) - cross**2 / tau
    alpha, beta = cross / tau, (yperp @ x) / given
    alpha_se = np.sqrt(given / (m * tau))
    beta_se = np.sqrt((yperp @ yperp - beta**2 * given) / ((m - 1) * given))
    alpha_p = 2 * scipy.special.stdtr(m, -np.abs(alpha / alpha_se))
    beta_p = 2 * scipy.special.stdtr(m - 1, -np.abs(beta / beta_se))
    se = np.sqrt((alpha * beta_se) ** 2 + (beta * alpha_se) ** 2)
    reach = scipy.special.ndtri((1 + level) / 2) * se
    p = np.maximum(alpha_p, beta_p)
    return {
        "alpha": alpha,
        "beta": beta,
        "p": p,
        "adjusted": scipy.stats.false_discovery_control(p),
        "lower": alpha * beta - reach,
        "upper": alpha * beta + reach,
    }


def dual(exposure, mediators, outcome) -> dict:
    """Row-space MaxIE with p > n: kernel XX', one Cholesky factor of n x n, weights X'x."""
    n = len(exposure)
    a, y = exposure - exposure.mean(), outcome - outcome.mean()
    x = mediators - mediators.mean(axis=0)
    kernel = x @ x.T
    kernel += np.trace(kernel) / n / n  # the intercept's direction, c 1 1' / n
    factor = scipy.linalg.cho_factor(kernel)
    tau, ay = a @ a, a @ y
    v = scipy.linalg.cho_solve(factor, a)
    av = a @ v
    path_a = -(v - a * (av / tau)) * (tau / av)
    path_y = y - a * (ay / tau)
    both = np.stack([path_a, path_y], axis=1)
    rows = scipy.linalg.cho_solve(factor, both)
    rows -= np.outer(v, (a @ rows) / av)
    rows -= np.outer(a, (a @ rows) / tau)
    inner = both.T @ both
    norms = np.sqrt(np.diag(inner))
    direction = rows @ (1 / norms)
    result = bisector(np.stack([rows[:, 0], rows[:, 1]], axis=1), inner, tau, ay, n)
    scale = result["weights"] @ direction / (direction @ direction)
    return {
        **result,
        "weights": x.T @ (scale * direction),
        "T": statistic(result["cosine"], n - 3),
    }


def thread_settings() -> dict[str, str]:
    """What this process was told about threads; serves the test of the harness."""
    return {key: os.environ.get(key, "") for key in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
