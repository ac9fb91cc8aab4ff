"""A model on disk: weights and description, read and written."""
