"""The container image: its build, its health check and the list of its packages."""
