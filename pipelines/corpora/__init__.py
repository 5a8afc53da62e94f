"""Corpora under DVC: adding, admitting, scanning and verifying them."""
