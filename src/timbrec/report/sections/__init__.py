"""Sections of the page, in the order of the catalogue: a class and its template each."""
