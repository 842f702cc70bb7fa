"""The benches: one module for each thing measured, all of them giving figures and lines of one table."""
