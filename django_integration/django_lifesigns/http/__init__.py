"""How an answer is negotiated, written, and shown to whom."""
