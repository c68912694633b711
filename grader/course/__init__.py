"""What is asked: courses, exercises and their rubrics."""
