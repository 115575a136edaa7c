"""Numbers of Zhang et al. (2026): truths of its design, Tables 2 and 3."""

from jaxmed.studies.generative_mediation.printed import Printed

__all__ = ["IE", "TABLE_3", "TRUTH"]

TRUTH = {
    "A": {"direct": 0.5, "indirect": 2.8, "mediators": (0.0, 0.0, 0.8, 0.4, 1.6, 0.0, 0.0)},
    "B": {"direct": 0.5, "indirect": 3.6, "mediators": (0.0, 0.0, 1.6, 1.2, 0.8, 0.0, 0.0)},
}
# Table 2, IE_1 to IE_7.
IE = {
    "A": (
        Printed(0.043, 0.029, 0.055),
        Printed(0.005, -0.086, 0.043),
        Printed(0.768, 0.710, 0.806),
        Printed(0.352, 0.294, 0.394),
        Printed(1.628, 1.564, 1.691),
        Printed(-0.040, -0.072, -0.009),
        Printed(-0.035, -0.074, 0.002),
    ),
    "B": (
        Printed(0.034, 0.030, 0.038),
        Printed(0.003, -0.007, 0.010),
        Printed(1.565, 1.492, 1.633),
        Printed(1.193, 1.142, 1.246),
        Printed(0.769, 0.730, 0.805),
        Printed(-0.012, -0.032, 0.006),
        Printed(-0.049, -0.121, 0.019),
    ),
}
# Table 3: direct effect, total indirect effect, number of mediators (None: not given).
TABLE_3 = {
    "GAHMN": (Printed(-0.14, -0.15, -0.13), Printed(0.04, -0.11, 0.17), 17),
    "HIMA": (Printed(-0.11, -0.17, -0.05), Printed(0.43, 0.39, 0.47), 29),
    "PLSEM": (Printed(-0.13, -0.19, -0.07), Printed(0.30, -0.38, 0.98), 32),
    "Guo": (Printed(-0.11, -0.17, -0.06), Printed(0.44, 0.40, 0.48), None),
}
