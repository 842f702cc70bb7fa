"""The log of faults: the page, its entries for the logbook, and the day's digest by e-mail."""
