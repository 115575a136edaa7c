"""Solvers that imitate released software step by step: the order of updates is the point."""
