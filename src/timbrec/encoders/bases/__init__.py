"""Base classes of the encoders, one per family."""
