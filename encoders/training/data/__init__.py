"""What a training run reads: pictures in fixed views, captions and labels, mixed from several datasets."""
