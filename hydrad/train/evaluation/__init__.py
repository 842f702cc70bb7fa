"""What a model is worth: calibration, figures on what it never saw, and the report that people read."""
