"""Arithmetic circuits: functions that add to a module, and what they cost."""
