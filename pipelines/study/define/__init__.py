"""A study before it runs: its definition, the checks of it, its tasks and its plan."""
