"""Why something went wrong in an engine, and whose fault that is."""
