"""WeChat notifications from AWS: validate, send once, know what became of it."""
