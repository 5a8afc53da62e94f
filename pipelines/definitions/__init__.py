"""Common parts of sweep and study definitions: search spaces, overrides, the definitions that ship."""
