"""Pretrained pairs of an image and a text encoder in ONNX files, used as models of crosslook."""
