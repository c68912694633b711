"""The learner's loop: a folder to work in, grading on every save, what was reached so far, hints."""
