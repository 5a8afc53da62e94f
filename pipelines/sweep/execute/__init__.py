"""A session of a sweep on Ray: trials, refit, continuing and stopping."""
