"""The service's real handlers, adapters and core between fakes of AWS and WeChat, in one thread."""
