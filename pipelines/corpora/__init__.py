"""Corpora under DVC: added, scanned, described, verified."""
