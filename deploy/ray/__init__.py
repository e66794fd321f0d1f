"""The service behind Ray Serve."""
