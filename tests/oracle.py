"""Slow, plain float64 NumPy: the same quantities from their definitions, sharing no code with
jaxmed.

Everything comes from projections by QR or SVD of the rows themselves: no Gram matrix, no whitening.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass
class Oracle:
    cosine: float
    angle: float
    statistic: float
    df: int
    q_aa: float
    q_ay: float
    q_yy: float
    rss: float
    tau: float
    total: float
    h_plus: float
    h_minus: float
    w_plus: np.ndarray
    w_minus: np.ndarray
    condition: float


def project_off(columns, values):
    q, _ = np.linalg.qr(columns)
    values = values - q @ (q.T @ values)
    return values - q @ (q.T @ values)


def residuals(data):
    n = len(data.exposure)
    design = np.column_stack([np.ones(n), data.covariates])
    return (
        project_off(design, np.asarray(v)) for v in (data.exposure, data.mediators, data.outcome)
    )


def solve(data):
    """Oracle of unweighted data in either regime."""
    a, x, y = residuals(data)
    n, p = x.shape
    q = data.covariates.shape[1]
    tau = a @ a
    z = x - np.outer(a, a @ x) / tau
    y_perp = y - a * (a @ y) / tau
    length = np.linalg.norm(z, axis=0) if p <= n - 2 - q else np.full(p, np.linalg.norm(z))
    u, d, vt = np.linalg.svd(z / length, full_matrices=False)
    r = min(p, n - 2 - q)
    u, d, vt = u[:, :r], d[:r], vt[:r]
    s = (x / length).T @ a
    path_a, path_y = u @ (vt @ s / d), u @ (u.T @ y_perp)
    norm_a, norm_y = np.linalg.norm(path_a), np.linalg.norm(path_y)
    plus = np.linalg.norm(path_a / norm_a + path_y / norm_y)
    minus = np.linalg.norm(path_a / norm_a - path_y / norm_y)
    cosine = (plus - minus) * (plus + minus) / 4
    strength = norm_a / np.sqrt(tau) * norm_y / np.sqrt(tau)
    weights = []
    for sign in (1, -1):
        direction = path_a / norm_a + sign * path_y / norm_y
        w = vt.T @ (u.T @ direction / d) / length
        score = x @ w
        weights.append(w / np.sqrt(score @ score / (n - 1 - q)))
    return Oracle(
        cosine,
        2 * np.arctan2(minus, plus),
        np.sqrt(r - 1) * cosine / (plus * minus / 2) if r > 1 else np.nan,
        r - 1,
        norm_a**2 / tau,
        path_a @ path_y / np.sqrt(tau),
        norm_y**2,
        np.sum((y_perp - path_y) ** 2),
        tau,
        a @ y / tau,
        strength * plus**2 / 4,
        -strength * minus**2 / 4,
        *weights,
        (d[0] / d[-1]) ** 2,
    )


def effects(data, w):
    """(alpha, beta, indirect, index) of one weight vector, by two regressions."""
    a, x, y = residuals(data)
    n, q = len(a), data.covariates.shape[1]
    m = x @ w
    m = m / np.sqrt(m @ m / (n - 1 - q))
    alpha = a @ m / (a @ a)
    m_perp = m - a * alpha
    beta = m_perp @ y / (m_perp @ m_perp)
    index = (
        (a @ m) / np.sqrt((a @ a) * (m @ m)) * (m_perp @ y) / np.sqrt((m_perp @ m_perp) * (y @ y))
    )
    return alpha, beta, alpha * beta, index
