"""Formats of recommendations, one file each: a table of tracks in, text out.

A format is a class with `suffix`, the ending of its files ("" for none), and `text(tracks, title)`. `tracks` has the
columns of `timbrec.Model.recommend`.
"""
