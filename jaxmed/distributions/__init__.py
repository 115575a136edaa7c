"""Distributions: tails, quantiles, and the exact law of the path quadratics."""
