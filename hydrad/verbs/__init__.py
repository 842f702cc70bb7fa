"""What each command does; loaded when it is called, so that the others start fast."""
