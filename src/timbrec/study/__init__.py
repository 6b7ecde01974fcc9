"""The study: a config's grid of cells, planned, run and stored."""
