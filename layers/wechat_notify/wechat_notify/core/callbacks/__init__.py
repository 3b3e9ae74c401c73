"""The events that WeChat tells by callback: receipts, consents, tickets and authorizations."""
