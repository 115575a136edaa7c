"""Hand-made records with consistent numbers: plain numpy regressions, no jaxmed estimate."""

import copy
import dataclasses

import numpy as np
import pytest

from jaxmed.reports.methods_text import citations, methods_text
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
    active = min(p, max(2, p // 6))
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


OLS = ("ols", "OLS, all mediators")
HIMA = ("hima", "HIMA")
ROBUST = ("double_selection_zz", "Double selection, robust")
MAXIE = ("maxie", "MaxIE, cross-fitted")
KINDS = (
    "primal",
    "dual",
    "tiny",
    "binary",
    "singular",
    "beside",
    "sparse",
    "near_zero",
    "log_odds",
    "stopped",
    "not_asked",
    "moments",
    "single",
    "labelled",
)
QUANTITIES = {
    "total_effect": "Total effect",
    "direct_effect": "Direct effect",
    "total_indirect": "Total indirect effect",
    "proportion_mediated": "Proportion mediated",
    "concordant": "Upward part",
    "suppression": "Downward part",
    "cross_fitted": "Cross-fitted upward part",
    "cross_fitted_suppression": "Cross-fitted downward part",
}


def entry(
    quantity,
    estimate,
    lower=NAN,
    upper=NAN,
    *,
    by=OLS,
    of_record=True,
    naive=NAN,
    status=FINE,
    unit="days per year",
):
    """An entry of the effects."""
    error = (upper - lower) / 4
    return {
        "quantity": quantity,
        "label": QUANTITIES[quantity],
        "method": by[0],
        "method_label": by[1],
        "of_record": of_record,
        "estimand": f"what {QUANTITIES[quantity].lower()} estimates",
        "estimate": float(estimate),
        "naive": float(naive),
        "standard_error": float(error),
        "lower": float(lower),
        "upper": float(upper),
        "level": 0.95,
        "interval": "t",
        "unit": "share of the total effect" if quantity == "proportion_mediated" else unit,
        "status": status[0],
        "notes": [],
        "reason": status[1],
    }


def threat(code, severity, sentence, remedy=""):
    """An entry of the threats."""
    return {
        "code": code,
        "severity": severity,
        "measured": 0.05,
        "threshold": 0.1,
        "sentence": sentence,
        "remedy": remedy,
    }


def edited(record, effects=None, p_values=None, **fields):
    """The record with other effects, p-values and fields; an effect of one's own comes first."""
    document = copy.deepcopy(record.document)
    own = {(e["quantity"], e["method"]) for e in effects or ()}
    kept = [e for e in document["effects"] if (e["quantity"], e["method"]) not in own]
    document["effects"] = [*(effects or ()), *kept]
    for test in document["tests"]:
        test["p_value"] = (p_values or {}).get(test["test"], test["p_value"])
    return dataclasses.replace(record, document=document | fields)


def make(n, p, *, binary=False, names=None, seed=0, unit=None, data=None, labels=None):
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
    angle = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    statistic = np.sqrt(r - 1) * cosine / np.sqrt(max(1 - cosine**2, 1e-12))
    p_cos = p_two_sided(statistic)
    s2 = NAN if dual else float((y_given @ y_given - path_y @ path_y) / (m - p))
    fatal = NOT_IN_DUAL if dual else FINE
    unit = unit or "days out of hospital per year of age"

    def effect(quantity, estimate, naive=NAN, half=NAN, status=FINE, by=OLS, of_record=True):
        ends = estimate - half, estimate + half
        return entry(
            quantity,
            estimate,
            *ends,
            by=by,
            of_record=of_record,
            naive=naive,
            status=status,
            unit=unit,
        )

    se = float(np.sqrt(y_given @ y_given / m / tau))
    indirect = parts[1] + parts[-1]
    effects = [effect("total_effect", total, half=2 * se, by=("ols", "OLS"))]
    no_share = ("OK", "the interval of the total effect holds zero: a share of it says nothing")
    whole = abs(total) > 2 * se
    if dual:
        through = 0.4 * total
        effects += [
            effect("direct_effect", total - through, half=2.4 * se, by=ROBUST),
            effect("total_indirect", through, half=1.5 * se, by=ROBUST),
            effect("proportion_mediated", 0.4, half=0.3, by=ROBUST)
            if whole
            else effect("proportion_mediated", NAN, status=no_share, by=ROBUST),
            effect("concordant", NAN, parts[1], status=fatal),
            effect("suppression", NAN, parts[-1], status=fatal),
        ]
    else:
        q_aa, q_yy = path_a @ path_a / tau, path_y @ path_y
        la = max(0.0, ((m - p - 1) * q_aa - p) / tau)
        ly = max(0.0, (q_yy - p * s2) / m)
        product = np.sqrt(la * ly)
        effects += [
            effect("direct_effect", total - indirect, half=2.4 * se),
            effect("total_indirect", indirect, indirect, half=1.9 * se),
            effect("proportion_mediated", indirect / total, half=0.4)
            if whole
            else effect("proportion_mediated", NAN, status=no_share),
            effect("concordant", (indirect + product) / 2, parts[1], 1.1 * se),
            effect("suppression", (indirect - product) / 2, parts[-1], 1.1 * se),
        ]
    effects.append(effect("cross_fitted", 0.55 * parts[1], half=1.4 * se, by=MAXIE))
    effects.append(effect("cross_fitted_suppression", 0.5 * parts[-1], half=1.4 * se, by=MAXIE))
    methods = ["double_selection_zz"] if dual else ["ols"]

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
            if score.std() < 1e-9:  # the direction that a single mediator does not have
                continue
            weights, score = weights / score.std(), score / score.std()
            alpha = float(a @ score / tau)
            given = residual(a[:, None], score)
            beta = float(given @ y_given / (given @ given))
            composites.append(
                {
                    "method": method,
                    "direction": direction,
                    "label": ("MaxIE" if method == "maxie" else "MaxCor")
                    + (" upward" if sign > 0 else " downward"),
                    "exposure_effect": alpha,
                    "outcome_effect": beta,
                    "indirect": alpha * beta,
                    "direct": total - alpha * beta,
                    "total": total,
                    "proportion_mediated": alpha * beta / total if whole else NAN,
                    "proportion_reason": "" if whole else no_share[1],
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
    record = Record(
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
                "composites": ["maxie", "maxcor"],
                "effects": ["auto"],
                "screened": "unknown",
                "basis": "auto",
                "standardise": True,
                "level": 0.95,
                "seed": 0,
                "permutations": 999,
                "folds": 5,
                "splits": 10,
                "replicates": 2000,
                "exposure": "high_tech" if binary else "age",
                "outcome": "hospital_free_days_45",
                "covariates": ["male"],
            },
            "data": {
                "source": {"rows_read": 127, "rows_used": n, "where": "covid == 1"},
                "files": None,
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
            "design": {
                "basis": "linear",
                "rank": 2,
                "columns": ["male"],
                "dropped": {},
                "sentence": f"Covariates: male: rank 2, basis linear (auto; {n} rows)",
                "linear": None,
                "matters": None,
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
            "choice": {
                "methods": methods,
                "reason": f"{n} rows and {p} mediators",
                "sentences": [f"Method chosen for {n} rows and {p} mediators."],
            },
            "composites": composites,
            "tests": tests,
            "mediator_summary": {
                "count": p,
                "q05": int((q < 0.05).sum()),
                "q10": int((q < 0.1).sum()),
                "lead": [names[i] for i in order][:10],
                "test": "one mediator at a time",
            },
            "threats": [],
            "warnings": ["exposure has 3 repeated values"] if dual else [],
        },
        {
            "name": np.array(names),
            "label": np.array(labels or names),
            "mean": mediators.mean(axis=0),
            "sd": sd,
        }
        | mediator_columns
        | marginal,
        rows,
    )
    return written(record)


def written(record):
    """The record with its methods text and citations, as an analysis writes them last."""
    document = record.document
    more = {"methods_text": methods_text(document), "citations": citations(document)}
    return dataclasses.replace(record, document=document | more)


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
def edit():
    """`edit(record, effects, p_values, **fields)`: see `edited`."""
    return edited


@pytest.fixture(scope="session")
def effect_entry():
    """`effect_entry(quantity, estimate, lower, upper, ...)`: see `entry`."""
    return entry


@pytest.fixture(scope="session")
def threat_entry():
    """`threat_entry(code, severity, sentence, remedy)`: see `threat`."""
    return threat


@pytest.fixture(scope="session")
def kinds():
    return KINDS


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
def beside(primal):
    """Least squares of record, the robust double selection beside it."""
    return edited(
        primal,
        [
            entry("total_effect", -0.365, -0.555, -0.175, by=("ols", "OLS")),
            entry("direct_effect", -0.061, -0.301, 0.179),
            entry("total_indirect", -0.304, -0.494, -0.114),
            entry("proportion_mediated", 0.833, 0.325, 1.71),
            entry("direct_effect", -0.15, -0.35, 0.05, by=ROBUST, of_record=False),
            entry("total_indirect", -0.215, -0.375, -0.055, by=ROBUST, of_record=False),
            entry("proportion_mediated", 0.589, 0.15, 1.3, by=ROBUST, of_record=False),
            entry("concordant", 0.031, 0.0, 0.12, naive=0.12),
            entry("suppression", -0.335, -0.51, -0.16, naive=-0.43),
            entry("cross_fitted", 0.012, -0.071, 0.095, by=MAXIE, of_record=False),
            entry("cross_fitted_suppression", -0.305, -0.489, -0.141, by=MAXIE, of_record=False),
        ],
        {"total": 0.002, "total_robust": 0.004, "intersection_union": 1e-5, "cosine": 0.003},
        choice={
            "methods": ["ols", "double_selection_zz"],
            "reason": "200 rows, 40 mediators and 2 columns",
            "sentences": ["Indirect effect: -0.304 by OLS, -0.215 by Double selection, robust."],
        },
    )


@pytest.fixture(scope="session")
def sparse(beside):
    """The robust double selection of record in the primal, least squares beside it."""
    turned = [
        e | {"of_record": e["method"] != "ols"}
        for e in beside.document["effects"]
        if e["quantity"] in ("direct_effect", "total_indirect", "proportion_mediated")
    ]
    turned.sort(key=lambda e: not e["of_record"])
    total = beside.document["effects"][0]
    choice = beside.document["choice"] | {"methods": ["double_selection_zz"]}
    return edited(beside, [total, *turned], choice=choice)


@pytest.fixture(scope="session")
def log_odds(beside):
    """An estimator of record whose effects are log odds, with a total effect of its own."""
    marks = {"by": HIMA, "unit": "log odds", "status": ("LOG_ODDS", "effects are log odds ratios")}
    total = entry("total_effect", 1.58, 0.9, 2.26, **marks)
    direct = entry("direct_effect", 1.46, 0.8, 2.12, **marks)
    indirect = entry("total_indirect", 0.142, 0.05, 0.24, **marks)
    share = entry("proportion_mediated", 0.12, 0.05, 0.2, by=HIMA)
    kept = [e | {"of_record": e["quantity"] == "total_effect"} for e in beside.document["effects"]]
    choice = beside.document["choice"] | {"methods": ["hima"], "reason": "asked for by name"}
    return edited(beside, [total, direct, indirect, share, *kept], choice=choice)


@pytest.fixture(scope="session")
def near_zero(primal):
    """A total effect near zero: no sign, no share."""
    reason = "the interval of the total effect holds zero: a share of it says nothing"
    return edited(
        primal,
        [
            entry("total_effect", 0.02, -0.17, 0.21, by=("ols", "OLS")),
            entry("direct_effect", -0.28, -0.5, -0.06),
            entry("total_indirect", 0.3, 0.1, 0.5),
            entry("proportion_mediated", NAN, status=("OK", reason)),
            entry("concordant", 0.42, 0.2, 0.64, naive=0.5),
            entry("suppression", -0.12, -0.3, 0.0, naive=-0.25),
        ],
        {"total": 0.003, "total_robust": 0.004, "intersection_union": 1e-4},
    )


@pytest.fixture(scope="session")
def stopped(dual):
    """A method that refuses the data."""
    why = ("STOPPED", "needs at least 10 rows in every fold")
    return edited(
        dual,
        [
            entry("total_effect", -0.365, -0.555, -0.175, by=("ols", "OLS")),
            *(
                entry(quantity, NAN, by=ROBUST, status=why)
                for quantity in ("direct_effect", "total_indirect", "proportion_mediated")
            ),
        ],
    )


@pytest.fixture(scope="session")
def not_asked(dual):
    """More mediators than rows, and no effects asked for."""
    own = ("direct_effect", "total_indirect", "proportion_mediated")
    effects = [e for e in dual.document["effects"] if e["quantity"] not in own]
    choice = {"methods": [], "reason": "no effects were asked for", "sentences": []}
    document = dual.document | {"effects": effects, "choice": choice}
    return dataclasses.replace(dual, document=document)


@pytest.fixture(scope="session")
def moments(beside):
    """Merged sites or a stream: no rows."""
    return dataclasses.replace(beside, rows={})


@pytest.fixture(scope="session")
def single():
    """One mediator: no parts, no angle."""
    record = make(80, 1, seed=4, names=["crp"])
    gone = ("NOT_APPLICABLE", "not defined for these dimensions")
    no_parts = {"notes": ["NO_PARTS"], "naive": NAN}
    record = edited(
        record,
        [
            entry("total_effect", 0.5, 0.3, 0.7, by=("ols", "OLS")),
            entry("direct_effect", 0.3, 0.1, 0.5),
            entry("total_indirect", 0.2, 0.1, 0.32),
            entry("proportion_mediated", 0.4, 0.2, 0.7),
            entry("concordant", 0.2) | no_parts,
            entry("suppression", 0.0) | no_parts,
        ],
        {"total": 0.001, "total_robust": 0.002, "intersection_union": 0.001},
    )
    document = record.document
    document["paths"] |= {"dimension": 1}
    document["effects"] = [e for e in document["effects"] if e["method"] != "maxie"]
    document["composites"] = [e for e in document["composites"] if e["direction"] == "concordant"]
    for test in document["tests"]:
        if test["test"] in ("cosine", "permutation"):
            test |= {"p_value": NAN, "status": gone[0], "reason": gone[1]}
    return record


@pytest.fixture(scope="session")
def labelled(beside):
    """Display names, and mediators estimated jointly."""
    table = dict(beside.mediators)
    size = len(table["name"])
    table["label"] = np.array([f"Protein {i}" for i in range(size)])
    names = ("joint_beta", "joint_beta_se", "joint_indirect", "joint_indirect_se")
    names += ("joint_lower", "joint_upper", "joint_p", "joint_q")
    table |= {name: np.linspace(0.01, 0.5, size) + i for i, name in enumerate(names)}
    return dataclasses.replace(beside, mediators=table)


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
        number = isinstance(value, float) or (isinstance(value, list) and value)
        return NAN if number else value

    document = copy.deepcopy(primal.document)
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
def every(request):
    """kind -> record."""
    return {kind: request.getfixturevalue(kind) for kind in KINDS}
