"""How conversations are found: the words and numbers that are kept of them. Pure."""
