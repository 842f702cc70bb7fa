"""Faults put into good images: what a picture of a histogram shows is understood, and changed."""
