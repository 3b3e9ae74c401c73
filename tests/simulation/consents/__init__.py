"""Simulated consents: people give them and take them back, and messages use them up."""
