"""The service on more than one machine."""
