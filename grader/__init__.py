"""A grader for courses on container images."""

__version__ = "0.1.0"
