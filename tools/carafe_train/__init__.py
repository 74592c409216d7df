"""Trains small models of GPT-2's architecture from a text, on processor cores."""
