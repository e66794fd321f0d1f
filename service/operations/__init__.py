"""The operations: their catalogue, and the way from a validated request to its outputs."""

from service.operations.catalogue import OPERATIONS
from service.operations.execute import execute
from service.operations.size import RequestSize, request_size

__all__ = ["OPERATIONS", "RequestSize", "execute", "request_size"]
