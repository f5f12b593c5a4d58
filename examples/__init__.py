"""Example networks that this project trained itself, with their images."""
