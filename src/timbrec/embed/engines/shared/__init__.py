"""Code for engines with workers in other processes."""
