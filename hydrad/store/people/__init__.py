"""Who may do what, what they show instead of a password, and who wants the log by e-mail."""
