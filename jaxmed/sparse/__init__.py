"""Penalised regressions: one descent, penalties and likelihoods as objects, paths, selection."""
