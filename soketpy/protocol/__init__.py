"""The Pusher Channels protocol as pure functions: bytes and values, no I/O, no clock, no logging."""
