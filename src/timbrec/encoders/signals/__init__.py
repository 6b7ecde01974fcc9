"""Signal functions below the encoders: checks of windows, mel spectra."""
