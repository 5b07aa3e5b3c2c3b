"""HTTP: routes, their handlers, and what every answer has in common."""
