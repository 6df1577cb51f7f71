"""The doors: where the network comes in. Only here is aiohttp known."""
