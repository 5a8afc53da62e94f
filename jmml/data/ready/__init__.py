"""Ready-made features: how their tables are written, and which columns and rows are not what they seem."""
