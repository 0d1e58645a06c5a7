"""What logging costs the training loop, tblog beside its peers; see README.md in this folder."""
