"""HTTP: routes, problems, limits, health, documentation. All words of the web are spoken here and nowhere below."""
