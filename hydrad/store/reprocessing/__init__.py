"""What a model said of an archive: kept apart, file by file, and laid beside what was said live."""
