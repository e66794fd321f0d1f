"""Run the service in containers, on Kubernetes and on Ray, and score folders of files."""
