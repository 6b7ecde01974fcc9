"""Code and templates that several sections share."""
