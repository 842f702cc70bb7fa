"""Labelling from the keyboard."""
