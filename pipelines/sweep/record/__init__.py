"""Files of a sweep: its folder, its journal, and the state read from it."""
