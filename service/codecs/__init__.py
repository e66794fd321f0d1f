"""Bytes to named tensors and back, a file for each format."""
