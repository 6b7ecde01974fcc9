"""Code for engines whose workers run in other processes."""
