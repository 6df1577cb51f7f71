"""Many nodes that act as one server, over Redis: ``docs/design/roster.md`` explains it."""
