"""What logging costs the training loop, with tblog and its peers; see README.md in this folder."""
