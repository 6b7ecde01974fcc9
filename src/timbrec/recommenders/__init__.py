"""Recommenders: one file each, a frozen record of hyperparameters whose fit gives a Scorer."""
