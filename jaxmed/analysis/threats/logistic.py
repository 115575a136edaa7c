"""A logistic regression that ends: with a weak prior, on the host, also under separation."""

import numpy as np
from scipy.special import expit

__all__ = ["logistic_logits"]

PRIOR_SD = 10.0  # of the coefficient of a column of mean square 1
STEPS = 30
HALVINGS = 8
CLOSE = 1e-8  # change of the log posterior per row


def logistic_logits(columns: np.ndarray, treated: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Fitted log odds [n] of a 0/1 column; finite whatever the data.

    Newton's steps, halved until the log posterior rises. The prior is normal for all coefficients
    but the first: under separation, where the likelihood has no maximum, it holds them.

    Args:
      columns: [n, r], the first one the intercept, the others of mean square about 1.
      treated: [n] 0 or 1.
      weights: [n] case weights.
    """
    prior = np.full(columns.shape[1], PRIOR_SD**-2)
    prior[0] = 0.0
    share = float(weights @ treated / weights.sum())
    beta = np.zeros(columns.shape[1])
    beta[0] = np.log(share / (1 - share)) / columns[0, 0]
    sign = 2 * treated - 1

    def posterior(at: np.ndarray) -> float:
        return -float(weights @ np.logaddexp(0, -sign * (columns @ at)) + prior @ at**2 / 2)

    value = posterior(beta)
    for _ in range(STEPS):
        p = expit(columns @ beta)
        gradient = columns.T @ (weights * (treated - p)) - prior * beta
        information = columns.T @ ((weights * p * (1 - p))[:, None] * columns)
        information[np.diag_indices_from(information)] += prior + 1e-10
        step = np.linalg.solve(information, gradient)
        for _ in range(HALVINGS):
            ahead = posterior(beta + step)
            if ahead >= value:
                break
            step = step / 2
        else:
            break
        beta, gain, value = beta + step, ahead - value, ahead
        if gain < CLOSE * len(treated):
            break
    return columns @ beta
