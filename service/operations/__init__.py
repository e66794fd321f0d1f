"""The three operations: what they take, what they give, and the way from one to the other."""

from service.operations.catalogue import OPERATIONS
from service.operations.run import Extent, measure, run

__all__ = ["OPERATIONS", "Extent", "measure", "run"]
