"""A study after it has run: certificates, results, tables, figures, report and record."""
