"""The benchmark's audit: checks that refuse wrong numbers by name."""
