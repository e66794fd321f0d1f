"""Vocabulary that the codecs share."""

from __future__ import annotations


class NotNumbers(Exception):
    """The text is not a rectangular array of finite numbers, or only a slower reader can tell."""


def count_brackets(shape: tuple[int, ...]) -> int:
    """Return how many brackets a nested array of a shape opens."""
    opened = count = 1
    for length in shape[:-1]:
        count *= length
        opened += count
    return opened
