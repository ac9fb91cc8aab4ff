"""Evaluate models: recall on captioned datasets, and comparison of the models of an index."""
