"""One plot: its history, how it is judged, and what another threshold would have done."""
