"""Ranking: scorers in, exact top-k lists and outcomes out."""
