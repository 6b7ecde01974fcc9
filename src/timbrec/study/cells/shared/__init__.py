"""Helpers of kinds of cells."""
