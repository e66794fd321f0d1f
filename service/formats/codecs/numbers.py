"""The error of a reader of numbers."""

from __future__ import annotations


class NotNumbers(Exception):
    """The text is not a rectangular array of finite numbers, or only a slower reader can tell."""
