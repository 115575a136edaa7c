"""Several devices and several processes, on JAX's own distributed runtime."""
