"""Containers that run: apps, commands, their processes and their network."""
