"""Versions of models: registration, promotion through gates, prediction."""
