"""A trained model at work: pictures and sentences in, NumPy out."""
