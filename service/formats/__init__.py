"""Bytes to named tensors and back, a file for each format."""

Piece = bytes | memoryview
"""A part of what is written, which whoever sends it need not put together."""
