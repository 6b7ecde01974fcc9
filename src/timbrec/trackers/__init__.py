"""Experiment trackers, one file each: a finished run becomes a run of MLflow, Weights & Biases or another service."""
