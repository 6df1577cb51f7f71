"""The rules of the server, without a network: who may do what, who is subscribed, and what each client is sent."""
