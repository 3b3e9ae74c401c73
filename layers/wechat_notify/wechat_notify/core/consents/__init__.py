"""Consents: what people allowed an account to send them, and what is left of it."""
