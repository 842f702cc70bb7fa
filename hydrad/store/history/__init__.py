"""What verdicts tell: how things stand, what is new, which faults there were, how scores went."""
