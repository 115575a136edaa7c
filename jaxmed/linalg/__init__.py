"""Linear algebra and iterative kernels on arrays; knows nothing of mediation."""
