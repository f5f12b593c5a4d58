"""The integer network as an HLS project through hls4ml, and its emulation with g++, equal to the golden model."""
