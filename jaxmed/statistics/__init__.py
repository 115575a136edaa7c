"""Statistics of one data set: mergeable moments, triangular factors, row-space kernels."""
