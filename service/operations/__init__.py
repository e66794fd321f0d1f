"""The operations: their catalogue, and the way from a validated request to its outputs."""

from service.operations.catalogue import OPERATIONS
from service.operations.execute import execute

__all__ = ["OPERATIONS", "execute"]
