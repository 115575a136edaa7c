"""Blocks of a file, several devices, several processes: on JAX's own distributed runtime."""
