"""`python -m benchmarks [NAME ...] [--out DIR]`: all benchmarks, or the ones named."""

import argparse
import importlib
import pkgutil
import time
from pathlib import Path

import benchmarks
from benchmarks.harness import RESULTS

SUPPORT = {"__main__", "first_calls", "gahmn_torch", "harness", "peers"}


def names() -> list[str]:
    """Modules of this package with a `main(out)`."""
    return sorted({m.name for m in pkgutil.iter_modules(benchmarks.__path__)} - SUPPORT)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", help=", ".join(names()))
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR")
    options = parser.parse_args()
    unknown = set(options.name) - set(names())
    if unknown:
        parser.error(f"no benchmark {sorted(unknown)}; there are {names()}")
    for name in options.name or names():
        start = time.monotonic()
        importlib.import_module(f"benchmarks.{name}").main(options.out)
        print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
