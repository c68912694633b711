"""What was handed in: the learner's files over the exercise's own."""
