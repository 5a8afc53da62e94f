"""A sweep before it runs: its definition, the checks of it, its plan and its estimate."""
