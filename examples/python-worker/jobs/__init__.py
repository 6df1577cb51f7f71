"""Long jobs in separate processes, whose progress every open page shows."""
