"""Apps from a database: the cache in front of a registry of apps, and the operations of the admin API."""
