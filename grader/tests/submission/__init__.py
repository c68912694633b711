"""What is handed in, and what is made of it."""
