"""Hand-made records with consistent numbers: plain numpy regressions, no jaxmed estimate."""

import numpy as np
import pytest

from jaxmed.reports.record import SCHEMA, SCHEMA_VERSION, Record

NAN = float("nan")
NOT_IN_DUAL = (
    "NOT_IN_DUAL",
    "needs a residual sum of squares, and with p >= n-2-q mediators there is none",
)
FINE = ("OK", "")


def simulate(rng, n, p, binary):
    male = rng.integers(0, 2, n).astype(float)
    exposure = (rng.random(n) < 0.4).astype(float) if binary else rng.normal(62, 15, n)
    scaled = (exposure - exposure.mean()) / exposure.std()
    active = max(2, p // 6)
    mediators = rng.normal(size=(n, p))
    signs = rng.choice([-1, 1], active)
    mediators[:, :active] += 0.45 * scaled[:, None] * signs
    beta = np.zeros(p)
    beta[:active] = 0.5 * signs * np.resize([1, -1], active)  # both signs: parts that cancel
    outcome = 20 + mediators @ beta - 0.1 * scaled + 0.3 * male + rng.normal(size=n)
    return exposure, mediators, outcome, male


def residual(design, x):
    q, _ = np.linalg.qr(design)
    return x - q @ (q.T @ x)


def make(n, p, *, binary=False, names=None, seed=0, unit=None, data=None):
    """A Record for n rows and p mediators; dual when p > n - 3."""
    rng = np.random.default_rng(seed)
    exposure, mediators, outcome, male = data or simulate(rng, n, p, binary)
    n, p = mediators.shape
    names = names or [f"prot_{i:03d}" for i in range(p)]
    sd = mediators.std(axis=0, ddof=1)
    base = np.column_stack([np.ones(n), male])
    a, x, y = (residual(base, v) for v in (exposure, mediators / sd, outcome))
    tau = a @ a
    z, y_given = residual(a[:, None], x), residual(a[:, None], y)
    dual = p > n - 3
    if dual:
        kernel = np.linalg.pinv(x @ x.T)
        v = kernel @ a
        path_a = -(v - a * (a @ v) / tau) * tau / (a @ v)
        path_y = y_given
        m = n - 3
        back = np.linalg.pinv(z)
        w_a, w_y = back @ path_a, back @ path_y
    else:
        left, s, right = np.linalg.svd(z, full_matrices=False)
        path_a, path_y = right @ (x.T @ a) / s * 1.0, left.T @ y_given
        path_a = (right @ (x.T @ a)) / s
        m = n - 3
        w_a, w_y = right.T @ (path_a / s), right.T @ (path_y / s)
    unit_a, unit_y = path_a / np.linalg.norm(path_a), path_y / np.linalg.norm(path_y)
    cosine = float(unit_a @ unit_y)
    strength = np.linalg.norm(path_a) * np.linalg.norm(path_y) / tau
    parts = {1: strength * (1 + cosine) / 2, -1: -strength * (1 - cosine) / 2}
    total = float(a @ y / tau)
    r = min(p, n - 3)
    angle = float(np.degrees(np.arccos(cosine)))
    statistic = np.sqrt(r - 1) * cosine / np.sqrt(1 - cosine**2)
    p_cos = p_two_sided(statistic)
    s2 = NAN if dual else float((y_given @ y_given - path_y @ path_y) / (m - p))
    fatal = NOT_IN_DUAL if dual else FINE
    unit = unit or "days out of hospital per year of age"

    def effect(quantity, label, estimate, naive=NAN, half=NAN, status=FINE, interval="t"):
        return {
            "quantity": quantity,
            "label": label,
            "estimand": f"what {label.lower()} estimates",
            "estimate": float(estimate),
            "naive": float(naive),
            "standard_error": float(half / 2),
            "lower": float(estimate - half),
            "upper": float(estimate + half),
            "level": 0.95,
            "interval": interval,
            "unit": unit,
            "status": status[0],
            "reason": status[1],
        }

    se = float(np.sqrt(y_given @ y_given / m / tau))
    indirect = parts[1] + parts[-1]
    effects = [effect("total_effect", "Total effect", total, half=2 * se)]
    if dual:
        effects += [
            effect("direct_effect", "Direct effect", NAN, total - indirect, status=fatal),
            effect("total_indirect", "Total indirect effect", NAN, indirect, status=fatal),
            effect("concordant", "Concordant part", NAN, parts[1], status=fatal),
            effect("suppression", "Suppression part", NAN, parts[-1], status=fatal),
        ]
    else:
        q_aa, q_yy = path_a @ path_a / tau, path_y @ path_y
        la = max(0.0, ((m - p - 1) * q_aa - p) / tau)
        ly = max(0.0, (q_yy - p * s2) / m)
        product = np.sqrt(la * ly)
        effects += [
            effect("direct_effect", "Direct effect", total - indirect, half=2.4 * se),
            effect("total_indirect", "Total indirect effect", indirect, half=1.9 * se),
            effect("concordant", "Concordant part", (indirect + product) / 2, parts[1], 1.1 * se),
            effect(
                "suppression", "Suppression part", (indirect - product) / 2, parts[-1], 1.1 * se
            ),
        ]
    effects.append(effect("cross_fitted", "Cross-fitted effect", 0.55 * parts[1], half=1.4 * se))

    def test(name, label, null, statistic, df, p, status=FINE):
        return {
            "test": name,
            "label": label,
            "null": null,
            "exact": f"when {label} is exact",
            "statistic": float(statistic),
            "df": df,
            "p_value": float(p),
            "p_concordant": float(p / 2),
            "p_suppression": float(1 - p / 2),
            "status": status[0],
            "reason": status[1],
        }

    tests = [
        test(
            "cosine",
            "Cosine test",
            "the two paths are not aligned (total indirect effect zero); "
            "blind to paths that are both active but cancel",
            statistic,
            float(r - 1),
            p_cos,
        ),
        test(
            "permutation",
            "Permutation of the exposure",
            "the two paths are not aligned",
            NAN,
            NAN,
            min(1.0, 1.1 * p_cos + 0.001),
        ),
        *(
            test(name, label, "the total indirect effect is zero", *((NAN,) * 3), fatal)
            if dual
            else test(
                name,
                label,
                "the total indirect effect is zero",
                statistic * 1.3,
                float(m - p),
                p_two_sided(statistic * 1.3),
            )
            for name, label in (
                ("total", "Total indirect test"),
                ("total_robust", "Total indirect test, robust"),
                ("joint", "Joint test"),
            )
        ),
        test(
            "intersection_union",
            "Intersection-union test",
            "no composite mediator exists",
            *((NAN,) * 3),
            fatal,
        )
        if dual
        else test(
            "intersection_union",
            "Intersection-union test",
            "no composite mediator exists",
            4.2,
            [float(p), float(m - p)],
            3.3e-36,
        ),
    ]

    composites, mediator_columns, rows = (
        [],
        {},
        {
            "exposure": exposure,
            "outcome": outcome,
            "exposure_residual": a,
            "outcome_residual": y,
            "outcome_given_exposure": y_given,
        },
    )
    maxcor = {}
    for method, shrink in (("maxie", 0.0), ("maxcor", 0.15)):
        for sign, direction in ((1, "concordant"), (-1, "suppression")):
            weights = w_a / np.linalg.norm(path_a) * (1 + shrink)
            weights = weights + sign * w_y / np.linalg.norm(path_y)
            phi = angle if sign > 0 else 180 - angle
            maxcor[direction] = phi / 2 * (1 + shrink)
            score = x @ weights
            weights, score = weights / score.std(), score / score.std()
            alpha = float(a @ score / tau)
            given = residual(a[:, None], score)
            beta = float(given @ y_given / (given @ given))
            composites.append(
                {
                    "method": method,
                    "direction": direction,
                    "label": f"{'MaxIE' if method == 'maxie' else 'MaxCor'} {direction}",
                    "exposure_effect": alpha,
                    "outcome_effect": beta,
                    "indirect": alpha * beta,
                    "direct": total - alpha * beta,
                    "total": total,
                    "proportion_mediated": alpha * beta / total,
                    "index": float(np.corrcoef(a, score)[0, 1] * np.corrcoef(given, y)[0, 1]),
                    "exposure_correlation": float(np.corrcoef(a, score)[0, 1]),
                    "outcome_correlation": float(np.corrcoef(given, y)[0, 1]),
                    "top": [names[i] for i in np.argsort(-np.abs(weights))[:5]],
                    "status": "RESTRICTED" if dual else "OK",
                    "reason": "the optimum is taken within the row space" if dual else "",
                }
            )
            mediator_columns[f"weight_{method}_{direction}"] = weights / sd
            mediator_columns[f"weight_per_sd_{method}_{direction}"] = weights
            rows[f"score_{method}_{direction}"] = score
    marginal = one_at_a_time(a, x * sd, y_given, m)
    order = np.argsort(marginal["p_value"])
    q = marginal["q_value"]
    return Record(
        {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "software": {
                "jaxmed": "0.1.0",
                "python": "3.11.7",
                "jax": "0.9.2",
                "jaxlib": "0.9.2",
                "numpy": "2.4.6",
                "platform": "Linux",
                "device": "cpu",
                "precision": "float64",
            },
            "settings": {
                "methods": ["maxie", "maxcor"],
                "standardise": True,
                "level": 0.95,
                "seed": 0,
                "permutations": 999,
                "folds": 5,
            },
            "data": {
                "source": {"rows_read": 127, "rows_used": n, "where": "covid == 1"},
                "rows_used": n,
                "num_mediators": p,
                "num_mediators_analysed": p,
                "num_covariates": 1,
                "weighted": False,
                "lines": [
                    "127 rows read",
                    f"{n} rows with covid == 1",
                    "sex coded as sex_male, reference female",
                    f"{n} rows used",
                ],
                "exposure": describe("high_tech" if binary else "age", exposure),
                "outcome": describe("hospital_free_days_45", outcome),
                "covariates": [describe("male", male)],
                "dropped_mediators": [
                    {
                        "name": "prot_flat",
                        "status": "CONSTANT_MEDIATOR",
                        "reason": "the mediator is constant",
                    }
                ],
            },
            "paths": {
                "regime": "dual" if dual else "primal",
                "route": "gram",
                "condition": 117.0,
                "dimension": r,
                "residual_df": float(m),
                "cosine": cosine,
                "angle_degrees": angle,
                "exposure_r2": float(1 - 1 / (1 + path_a @ path_a / tau)),
                "outcome_r2": NAN if dual else float(path_y @ path_y / (y_given @ y_given)),
                "exposure_norm": float(np.sqrt(path_a @ path_a / tau)),
                "outcome_norm": float(np.linalg.norm(path_y)),
                "maxcor_angle_degrees": maxcor,
                "status": "OK",
                "reason": "",
            },
            "effects": effects,
            "composites": composites,
            "tests": tests,
            "mediator_summary": {
                "count": p,
                "q05": int((q < 0.05).sum()),
                "q10": int((q < 0.1).sum()),
                "lead": [names[i] for i in order][:10],
                "test": "one mediator at a time",
            },
            "warnings": ["exposure has 3 repeated values"] if dual else [],
        },
        {"name": np.array(names), "mean": mediators.mean(axis=0), "sd": sd}
        | mediator_columns
        | marginal,
        rows,
    )


def p_two_sided(t):
    from math import erfc, sqrt

    return max(erfc(abs(float(t)) / sqrt(2)), 1e-40)


def describe(name, x):
    return {
        "name": name,
        "mean": float(x.mean()),
        "sd": float(x.std(ddof=1)),
        "minimum": float(x.min()),
        "maximum": float(x.max()),
    }


def one_at_a_time(a, x, y, m):
    tau = a @ a
    alpha = a @ x / tau
    left = x - np.outer(a, alpha)
    ss = (left**2).sum(0)
    alpha_se = np.sqrt(ss / m / tau)
    beta = y @ left / ss
    beta_se = np.sqrt(((y**2).sum() - beta**2 * ss) / (m - 1) / ss)
    alpha_p = np.array([p_two_sided(t) for t in alpha / alpha_se])
    beta_p = np.array([p_two_sided(t) for t in beta / beta_se])
    p = np.maximum(alpha_p, beta_p)
    order = np.argsort(p)
    q = np.empty_like(p)
    q[order] = np.minimum.accumulate((p[order] * p.size / np.arange(1, p.size + 1))[::-1])[::-1]
    half = 2 * np.hypot(alpha * beta_se, beta * alpha_se)
    return {
        "alpha": alpha,
        "alpha_se": alpha_se,
        "alpha_p": alpha_p,
        "beta": beta,
        "beta_se": beta_se,
        "beta_p": beta_p,
        "indirect": alpha * beta,
        "indirect_se": half / 2,
        "indirect_lower": alpha * beta - half,
        "indirect_upper": alpha * beta + half,
        "p_value": p,
        "q_value": q,
        "status": np.full(p.size, "OK"),
        "reason": np.full(p.size, ""),
    }


@pytest.fixture(scope="session")
def build():
    """The record builder itself: `build(n, p, binary=..., names=...)`."""
    return make


@pytest.fixture(scope="session")
def primal():
    return make(200, 40, seed=3)


@pytest.fixture(scope="session")
def dual():
    return make(102, 517, seed=5)


@pytest.fixture(scope="session")
def tiny():
    """Five mediators with names that break careless HTML and CSV."""
    return make(80, 5, seed=2, names=["<b>x</b>", "a & b", "c,d", 'e"f', "$g_{h}$"])


@pytest.fixture(scope="session")
def binary():
    return make(600, 60, binary=True, seed=7)


@pytest.fixture(scope="session")
def singular(primal):
    """No number but the counts exists: what a rank-deficient problem gives."""
    reason = {
        "status": "RANK_DEFICIENT",
        "reason": "mediators (with covariates and exposure) are linearly dependent",
    }

    def lost(value):
        if isinstance(value, dict):
            fields = {key: lost(item) for key, item in value.items()}
            return fields | reason if "status" in value else fields
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return [lost(item) for item in value]
        return NAN if isinstance(value, float | list) else value

    document = dict(primal.document)
    for field in ("paths", "effects", "tests", "composites"):
        document[field] = lost(document[field])
    for entry in document["composites"]:
        entry["top"] = []
    document["mediator_summary"] = {
        "count": 0,
        "q05": 0,
        "q10": 0,
        "lead": [],
        "test": "one mediator at a time",
    }

    def empty(columns, keep):
        return {
            name: values if name in keep or values.dtype.kind != "f" else np.full(len(values), NAN)
            for name, values in columns.items()
        }

    data = ("exposure", "outcome", "exposure_residual", "outcome_residual")
    return Record(document, empty(primal.mediators, ("mean", "sd")), empty(primal.rows, data))


@pytest.fixture(scope="session")
def every(primal, dual, tiny, binary, singular):
    return {
        "primal": primal,
        "dual": dual,
        "tiny": tiny,
        "binary": binary,
        "singular": singular,
    }
