"""Networks of the encoders, one architecture per file."""
