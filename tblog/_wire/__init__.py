"""Bytes: the fields of a message, the frame of a record, and whole columns of scalars."""
