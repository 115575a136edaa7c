"""Reading a text table of numbers, beside pandas reading the same: time, and the same bits.

Also a table with decimal commas and one with quotes, which take the checks of their marks.
"""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.harness import goal, in_child, interleaved, speed, write

ROWS, COLUMNS = 2_000, 2_000


def main(out: Path) -> None:
    case = in_child("tables", "one_table", n=ROWS, p=COLUMNS)
    goals = [
        goal(
            f"{kind}: open_table and all columns / pandas.read_csv with exact floats",
            case["speed"][kind]["by_wall_median"],
            at_least=1.0,
            **case["speed"][kind],
            same_bits=case["same_bits"][kind],
        )
        for kind in case["speed"]
    ]
    write("tables", goals, case, out)


def one_table(n: int, p: int) -> dict:
    import pandas

    from jaxmed.data import open_table

    values = np.random.default_rng(0).normal(size=(n, p))
    frame = pandas.DataFrame(values, columns=[f"m{j}" for j in range(p)])
    everything = np.ones(n, bool)
    kinds = {
        "plain": ({}, {}),
        "quoted": ({"quoting": 1}, {}),
        "decimal comma": ({"sep": ";", "decimal": ","}, {"sep": ";", "decimal": ","}),
    }
    timings, ratios, same = {}, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, (written, read) in kinds.items():
            path = Path(folder) / f"{kind.replace(' ', '_')}.csv"
            frame.to_csv(path, index=False, **written)

            def ours(path=path):
                table = open_table(path)
                return table.read_features(table.features, everything).values

            def peer(path=path, read=read):
                return pandas.read_csv(
                    path, float_precision="round_trip", low_memory=False, **read
                ).to_numpy()

            same[kind] = bool(np.array_equal(ours(), values))
            timings[kind] = interleaved({"jaxmed": ours, "pandas": peer}, seconds=6, least=5)
            ratios[kind] = speed(timings[kind], "jaxmed", "pandas")
    return {
        "rows": n,
        "columns": p,
        "timings": timings,
        "speed": ratios,
        "same_bits": same,
        "pandas": pandas.__version__,
    }
