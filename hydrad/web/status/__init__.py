"""How the system itself is, for people and for Prometheus."""
