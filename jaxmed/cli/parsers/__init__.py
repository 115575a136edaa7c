"""Commands and their options: no module here, nor what it imports, brings JAX."""
