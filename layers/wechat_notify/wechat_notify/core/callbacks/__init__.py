"""What WeChat tells back: receipts, consents, tickets and authorizations."""
