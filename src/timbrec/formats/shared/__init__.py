"""Helpers of several formats."""
