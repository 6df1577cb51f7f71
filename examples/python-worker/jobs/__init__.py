"""Long jobs in processes of their own, whose progress is shown in every open page."""
