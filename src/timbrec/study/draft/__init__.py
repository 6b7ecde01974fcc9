"""Draft of a config: the contents of files, how they fit together, and a commented config that names them."""
