"""Kinds of cells, one file each and a line in the catalogue: a cell computes and stores one experiment."""
