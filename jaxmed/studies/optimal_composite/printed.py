"""Every number of He (2026) that a study compares with, and independent checks of them.

He, Z. (2026), "Learning the Optimal Composite Mediator: Closed-Form Solution and Inference",
arXiv 2603.13762. Our copy of the paper lacks some numbers and all symbols of its tables: a mean
that is not legible is None, and rows are named after the setting that reproduces them.
"""

__all__ = [
    "CHECK_BOTTOM",
    "CHECK_BOTTOM_COUNT",
    "CHECK_TOP",
    "CHECK_TOP_COUNT",
    "TABLE_1",
    "TABLE_1_COUNT",
    "TABLE_3_BOTTOM",
    "TABLE_3_COUNT",
    "TABLE_3_TOP",
    "TABLE_3_TOP_UNION",
]

Entry = tuple[float | None, float]

_COLUMNS = ("MaxIE", "MaxCor", "Reg Y~X", "Reg A~X", "DM")

TABLE_1_COUNT = 20  # replicates behind every mean of Table 1


def _row(*entries: Entry) -> dict[str, Entry]:
    return dict(zip(_COLUMNS, entries, strict=False))


# Table 1, indirect effect h: (scenario, n, p) -> column -> (mean, sd over replicates).
TABLE_1: dict[tuple[str, int, int], dict[str, Entry]] = {
    ("S1", 500, 20): _row((0.86, 0.19), (0.80, 0.17), (None, 0.28), (None, 0.28), (None, 0.72)),
    ("S1", 1000, 100): _row((0.92, 0.14), (0.84, 0.12), (None, 0.13), (None, 0.14), (None, 0.74)),
    ("S1", 1000, 500): _row((1.41, 0.09), (1.21, 0.08), (None, 0.06), (None, 0.07), (None, 0.75)),
    ("S1", 500, 1000): _row((1.02, 0.06)),
    ("S2", 500, 20): _row((0.92, 0.21), (0.85, 0.19), (None, 0.23), (None, 0.25), (None, 0.63)),
    ("S2", 1000, 100): _row((0.99, 0.13), (0.91, 0.12), (None, 0.13), (None, 0.13), (None, 0.32)),
    ("S2", 1000, 500): _row((1.46, 0.08), (1.24, 0.06), (None, 0.09), (None, 0.10), (None, 0.56)),
    ("S2", 500, 1000): _row((1.04, 0.09)),
    ("S3", 500, 20): _row((0.89, 0.17), (0.82, 0.15), (None, 0.16), (None, 0.18), (None, 0.23)),
    ("S3", 1000, 100): _row((1.02, 0.09), (0.94, 0.07), (None, 0.13), (None, 0.14), (None, 0.13)),
    ("S3", 1000, 500): _row((1.45, 0.08), (1.24, 0.06), (None, 0.06), (None, 0.09), (None, 0.12)),
    ("S3", 500, 1000): _row((1.01, 0.07)),
    ("S4", 500, 20): _row((0.80, 0.06), (0.79, 0.06), (0.79, 0.06), (0.78, 0.06), (0.80, 0.06)),
    ("S4", 1000, 100): _row((0.87, 0.05), (0.85, 0.05), (0.84, 0.05), (0.82, 0.05), (0.87, 0.05)),
    ("S4", 1000, 500): _row((1.16, 0.05), (1.02, 0.04), (None, 0.03), (0.80, 0.06), (None, 0.04)),
    ("S4", 500, 1000): _row((0.81, 0.03)),
}

TABLE_3_COUNT = 1000  # replicates behind every rate of Table 3

_P = (20, 40, 80)
_N = (40, 60, 80, 100, 120, 140)


def _rates(
    over: tuple[int, ...], rows: dict[str, tuple[float, ...]]
) -> dict[tuple[int, str], float]:
    return {(x, row): v for row, values in rows.items() for x, v in zip(over, values, strict=True)}


# Table 3, top panel (n = 200), cosine test: (p, row) -> rejection rate at .05.
TABLE_3_TOP = _rates(
    _P,
    {
        "both-null": (0.048, 0.055, 0.050),
        "beta-null": (0.053, 0.053, 0.053),
        "alpha-null": (0.036, 0.035, 0.013),
        "signal-0.1": (0.210, 0.159, 0.097),
        "signal-0.2": (0.840, 0.717, 0.450),
    },
)

# Table 3, top panel, the paper's intersection-union test.
TABLE_3_TOP_UNION = _rates(
    _P,
    {
        "both-null": (0.000, 0.003, 0.000),
        "beta-null": (0.003, 0.000, 0.000),
        "alpha-null": (0.043, 0.044, 0.063),
        "signal-0.1": (0.052, 0.016, 0.005),
        "signal-0.2": (0.662, 0.292, 0.032),
    },
)

# Table 3, bottom panel (dual, p = 200): (n, row) -> rate. The conservative row is the one with a
# null exposure path, in the dual as in the primal; the paper gives it to the other path.
TABLE_3_BOTTOM = _rates(
    _N,
    {
        "both-null": (0.049, 0.055, 0.053, 0.053, 0.052, 0.043),
        "beta-null": (0.048, 0.057, 0.052, 0.061, 0.061, 0.055),
        "alpha-null": (0.029, 0.026, 0.020, 0.010, 0.007, 0.004),
        "signal-0.3": (0.078, 0.107, 0.156, 0.178, 0.194, 0.233),
        "signal-0.5": (0.128, 0.194, 0.296, 0.395, 0.488, 0.534),
    },
)

# Checks of our own, made with other code (NumPy) before this library: the exact law in the
# primal, data sets in the dual with the paper's degrees of freedom.
CHECK_TOP_COUNT = 1_000_000
CHECK_TOP = _rates(
    _P,
    {
        "both-null": (0.0499, 0.0501, 0.0500),
        "beta-null": (0.0501, 0.0500, 0.0501),
        "alpha-null": (0.0401, 0.0302, 0.0145),
        "signal-0.1": (0.207, 0.142, 0.088),
        "signal-0.2": (0.853, 0.730, 0.465),
    },
)
CHECK_BOTTOM_COUNT = 6_000
CHECK_BOTTOM = _rates(
    _N,
    {
        "both-null": (0.057, 0.053, 0.053, 0.057, 0.049, 0.046),
        "beta-null": (0.057, 0.052, 0.047, 0.048, 0.054, 0.054),
        "alpha-null": (0.037, 0.027, 0.018, 0.013, 0.009, 0.005),
        "signal-0.3": (0.077, 0.111, 0.137, 0.177, 0.221, 0.225),
        "signal-0.5": (0.117, 0.186, 0.296, 0.407, 0.496, 0.544),
    },
)
