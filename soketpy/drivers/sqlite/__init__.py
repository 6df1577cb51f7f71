"""The driver for webhooks on one node: a queue of deliveries in an SQLite file."""
