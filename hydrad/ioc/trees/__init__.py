"""Alarm trees for alarm handlers."""
