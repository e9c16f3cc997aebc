"""The forms in which people keep rows, told by the names of their fields, and how each becomes a row."""
