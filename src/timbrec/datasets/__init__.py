"""Data sets in their official layouts: one file each, events, items and vectors out."""
