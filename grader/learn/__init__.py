"""The learner's loop."""
