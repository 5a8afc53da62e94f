"""What earlier versions of the code have written: journals, studies, caches and a registry that must still be read."""
