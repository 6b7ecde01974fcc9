"""Ranking: exact top-k lists from a scorer, and their outcomes."""
