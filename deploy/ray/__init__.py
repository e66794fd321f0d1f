"""The service on Ray: the application behind Ray Serve, and bulk work on files as Ray tasks. `service` knows nothing of it."""
