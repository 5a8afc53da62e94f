"""What reports, tables and terminals share: HTML pages, wording of numbers, text in columns."""
