"""Models side by side: their figures, decisions about them, and trainings."""
