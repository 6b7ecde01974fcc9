"""Draft of a config: what files hold, how they fit together, and a commented config that names them."""
