"""Audio encoders: one file each, windows of audio in, one vector per window out."""
