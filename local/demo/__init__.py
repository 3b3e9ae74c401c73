"""A tour of the service on this machine, counted at WeChat's end: ``python -m local.demo``."""
