"""Registries of apps in SQL databases: what the contract tests of registries do not cover."""
