"""Notices for everyone or for one, and what the realtime server says has happened: FastAPI beside soketpy."""
