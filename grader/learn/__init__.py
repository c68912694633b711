"""The learner's loop: a folder to work in, what was reached so far, hints."""
