"""The demo's parts: real handwritten digits, a small network, its training, and what is logged of it."""
