"""A study while it runs: its workers and its progress."""
