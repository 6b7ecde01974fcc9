"""Kinds of cells: what one experiment computes and keeps; one file each, named in the catalogue."""
