"""Data of known truth: structural equation models to draw from."""
