"""Running a trained model: pictures and sentences in, NumPy arrays out."""
