"""Model bundles and what computes them; importing this loads no learning library."""
