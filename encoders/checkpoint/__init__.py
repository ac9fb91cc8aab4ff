"""A model on disk: reading and writing its weights and description."""
