"""The command line of WeChat Notify."""
