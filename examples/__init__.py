"""Programs that use a running service; each runs on its own."""
