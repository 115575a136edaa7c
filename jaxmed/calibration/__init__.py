"""Calibration of many p-values at once: adjustments, null mixtures, diagnostics."""
