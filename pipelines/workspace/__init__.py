"""The project on disk: its folders and settings, its task, and where its data and code come from."""
