"""Transforms of vectors, fitted on the tracks of the train part: one file each."""
