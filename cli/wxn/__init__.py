"""The command line of WeChat Notify."""

__version__ = "0.1.0"
