"""The steps to the newest tables. A step that was released never changes."""
