"""Coverage of intervals from three sites that add noise, widened for it and not.

2,000 rows over three sites, 5 mediators, delta 1e-6, rows cut to norm 4; 200 data sets for each
epsilon, 200 redraws of the noise each. The total indirect effect is .32. Widened intervals should
cover at least as often as they say; ordinary ones, which do not know of the noise, are reported.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import goal, write

EPSILONS = (3.0, 1.0, 0.5)
DATA_SETS, REDRAWS, SEED = 200, 200, 20260201
SITES = {"a": 800, "b": 700, "c": 500}
DELTA, CLIP = 1e-6, 4.0
ALPHA = np.array([0.5, 0.4, 0.3, 0.0, 0.0])
BETA = np.array([0.4, 0.3, 0.0, 0.3, 0.0])
DIRECT = 0.3
SCALES = {"exposure": 1.0, "outcome": 1.3} | {f"m{j}": 1.15 for j in range(len(ALPHA))}


def main(out: Path) -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    rows = [one(epsilon) for epsilon in EPSILONS]
    error = (0.95 * 0.05 / DATA_SETS) ** 0.5
    goals = []
    for row in rows:
        text = f"epsilon {row['epsilon']}: coverage"
        least = 0.95 - 3 * error
        goals.append(goal(f"{text} widened for noise", row["coverage"], at_least=least))
        goals.append(goal(f"{text} not widened (reported)", row["coverage_sampling"], at_least=0.0))
    write("federated_noise", goals, rows, out)


def one(epsilon: float) -> dict[str, Any]:
    """All data sets of one epsilon."""
    import jax

    from jaxmed.analysis.noisy_intervals import noisy_intervals
    from jaxmed.federated import noise_for, summarise

    truth = float(ALPHA @ BETA)
    bounds = {name: (0.0, scale) for name, scale in SCALES.items()}
    noise = noise_for(tuple(SCALES), bounds, epsilon=epsilon, delta=DELTA, clip=CLIP)
    found, failed, start = [], 0, time.perf_counter()
    for number in range(DATA_SETS):
        rng = np.random.default_rng([SEED, round(10 * epsilon), number])
        summaries = [
            summarise(drawn(rng, rows), site=site, noise=noise, generator=rng)
            for site, rows in SITES.items()
        ]
        fit = noisy_intervals(jax.random.key(number), summaries, draws=REDRAWS, replicates=1000)
        failed += fit.failed
        total = fit.parts["total"]
        if not np.isnan(total.lower):
            found.append(total)
    widths = [total.upper - total.lower for total in found]
    return {
        "epsilon": epsilon,
        "sigma": noise.sigma,
        "data_sets": DATA_SETS,
        "no_estimate": DATA_SETS - len(found),
        "failed_redraws": failed / DATA_SETS / REDRAWS,
        "coverage": float(np.mean([t.lower <= truth <= t.upper for t in found])),
        "coverage_sampling": float(
            np.mean([t.sampling_lower <= truth <= t.sampling_upper for t in found])
        ),
        "width": float(np.median(widths)),
        "width_sampling": float(np.median([t.sampling_upper - t.sampling_lower for t in found])),
        "bias": float(np.mean([t.estimate - truth for t in found])),
        "sd": float(np.std([t.estimate for t in found], ddof=1)),
        "noise_sd": float(np.median([t.noise_sd for t in found])),
        "truth": truth,
        "seconds": time.perf_counter() - start,
    }


def drawn(rng: np.random.Generator, rows: int) -> Any:
    """One site's rows."""
    from jaxmed.data.mediation_data import MediationData, Names

    exposure: Any = rng.normal(size=rows)
    mediators: Any = exposure[:, None] * ALPHA + rng.normal(size=(rows, len(ALPHA)))
    outcome: Any = DIRECT * exposure + mediators @ BETA + rng.normal(size=rows)
    names = Names("exposure", "outcome", tuple(SCALES)[2:])
    none: Any = np.zeros((rows, 0))
    return MediationData(exposure, mediators, outcome, none, None, names)
