"""MLflow filled from a sweep's journal."""
