"""The network: WebSocket, HTTP, the REST API and the metrics port."""
