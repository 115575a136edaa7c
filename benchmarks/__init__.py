"""Speed beside its peers, each with a correctness figure: `python -m benchmarks`."""
