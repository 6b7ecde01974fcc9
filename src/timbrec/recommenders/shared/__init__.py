"""Code that several recommenders share."""
