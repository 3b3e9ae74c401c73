"""Simulated receipts: WeChat pushes them early, late, twice and after losses, and functions are killed."""
