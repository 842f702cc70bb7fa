"""Everything that is kept: a journal on the local disk first, the data base when it answers."""
