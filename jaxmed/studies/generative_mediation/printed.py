"""Table 1 of Zhang et al. (2026, AAAI 40:28247): one data set of each setting, one fit a method."""

import dataclasses

__all__ = ["TABLE_1", "Printed"]


@dataclasses.dataclass(frozen=True)
class Printed:
    """One printed estimate with its printed 95 % interval."""

    estimate: float
    lower: float
    upper: float

    @property
    def width(self) -> float:
        """Of the interval."""
        return self.upper - self.lower


# (setting, method, effect) -> what is printed.
TABLE_1 = {
    ("A", "GAHMN", "direct"): Printed(0.502, 0.485, 0.517),
    ("A", "GAHMN", "indirect"): Printed(2.720, 2.565, 2.824),
    ("A", "HIMA", "direct"): Printed(0.478, 0.153, 0.785),
    ("A", "HIMA", "indirect"): Printed(2.702, 2.417, 2.988),
    ("A", "PLSEM", "direct"): Printed(0.492, 0.469, 0.515),
    ("A", "PLSEM", "indirect"): Printed(2.680, 2.646, 2.714),
    ("A", "Guo", "direct"): Printed(0.618, 0.378, 0.828),
    ("A", "Guo", "indirect"): Printed(2.554, 2.247, 2.857),
    ("B", "GAHMN", "direct"): Printed(0.501, 0.494, 0.521),
    ("B", "GAHMN", "indirect"): Printed(3.501, 3.356, 3.624),
    ("B", "HIMA", "direct"): Printed(0.466, 0.204, 0.764),
    ("B", "HIMA", "indirect"): Printed(2.714, 2.431, 2.985),
    ("B", "PLSEM", "direct"): Printed(0.491, 0.463, 0.527),
    ("B", "PLSEM", "indirect"): Printed(3.459, 3.425, 3.492),
    ("B", "Guo", "direct"): Printed(0.533, 0.356, 0.649),
    ("B", "Guo", "indirect"): Printed(3.455, 3.212, 3.706),
}
