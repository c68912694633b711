"""What an author needs: an exercise to start from, and the proof that its rubric tells right from wrong."""
