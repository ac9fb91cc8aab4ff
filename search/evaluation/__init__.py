"""How good a model is: recall on captioned datasets, and models compared on an index."""
