"""What definitions of sweeps and of studies share: search spaces, overrides, those that ship."""
