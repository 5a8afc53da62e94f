"""MLflow: runs and their tags, the store and its errors, served models, the pages in the browser."""
