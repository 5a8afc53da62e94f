"""A sweep as people see it: tables, progress, dry runs and the report."""
