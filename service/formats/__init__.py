"""Formats of bodies: bytes to named tensors and back."""

Piece = bytes | memoryview
"""A part of a body; the parts are sent one after the other."""
