"""Third-party platforms (components): accounts of merchants that authorized one."""
