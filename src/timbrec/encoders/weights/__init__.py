"""Files of weights: where they come from, how they are read and checked."""
