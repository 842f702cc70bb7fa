"""Models: where each stands, what those in shadow would have said, and the trainings they come from."""
