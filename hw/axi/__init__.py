"""The system around the accelerator: AXI3 on the processing system's ports, control, DMA. No vendor IP."""
