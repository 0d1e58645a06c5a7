"""The command `tblog`: one file for each subcommand, and what they share. `main` is the door."""
