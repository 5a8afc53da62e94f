"""Versions of corpora: what git and DVC have of each, compared, brought back, read beside the work tree, withdrawn."""
