"""Adapters of speech corpora."""
