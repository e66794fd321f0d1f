"""Pydantic messages, built from the description of an operation, and the tensor types they are made of."""
