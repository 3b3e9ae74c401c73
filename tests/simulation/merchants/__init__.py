"""Simulated merchants of a third-party platform: they come, change what they grant, and leave."""
