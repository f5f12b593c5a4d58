"""Arrays as products of smaller ones: NumPy in, NumPy out; nothing here knows a network."""
