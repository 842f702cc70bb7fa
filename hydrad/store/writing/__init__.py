"""What is written into the data base's tables, and what is counted along."""
