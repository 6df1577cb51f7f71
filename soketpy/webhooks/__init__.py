"""The sending of webhooks: events become deliveries, which are queued, sent and retried."""
