"""Many submissions: who is graded, in what order, what is kept of it, and the gradebook."""
