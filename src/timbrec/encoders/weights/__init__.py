"""Files of weights: locations, readers and checks."""
