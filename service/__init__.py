"""Softmax, cross-entropy loss and its analytic gradient over HTTP."""

__version__ = "0.1.0"
