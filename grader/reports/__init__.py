"""How a result is told: one file a format."""
