"""Helpers of several trackers."""
