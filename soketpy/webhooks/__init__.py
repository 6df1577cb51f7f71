"""Webhooks on their way out: events become deliveries, which are queued, sent and retried."""
