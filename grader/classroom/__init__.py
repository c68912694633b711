"""Repositories in which learners work: what `grader classroom init` writes."""
