"""Event files: their names, what goes into them, and what is done about those that are damaged or resumed."""
