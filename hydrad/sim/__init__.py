"""A simulated hall: histograms as real halls draw them, their faults, their producers' habits and a beam."""
