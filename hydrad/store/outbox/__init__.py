"""Verdicts are safe on the local disk first, and reach the data base when it answers, once each."""
