"""Notices for everyone or for one user, and webhooks of the realtime server, with FastAPI and soketpy."""
