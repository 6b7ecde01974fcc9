"""Data: tables and logs in, interactions and splits out."""
