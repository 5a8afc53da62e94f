"""Which configuration is tried next, and which trial ends early."""
