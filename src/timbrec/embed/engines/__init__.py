"""Engines: where audio is read and encoded; one file each, named in the catalogue under "embed-engines"."""
