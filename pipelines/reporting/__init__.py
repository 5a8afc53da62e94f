"""Common parts of reports, tables and terminal output: HTML pages, wording of numbers, text in columns."""
