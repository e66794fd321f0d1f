"""The uvicorn server: the only package that imports uvicorn."""
