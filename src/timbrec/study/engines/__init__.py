"""Engines: who runs the cells of a plan, and where; one file each, named in the catalogue."""
