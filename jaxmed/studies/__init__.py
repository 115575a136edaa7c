"""Studies: the tables and figures of a paper, declared as cells of sweeps."""
