"""The two paths, their angle, and the composites that are closed forms of them."""
