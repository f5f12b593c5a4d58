"""From a trained network to an accelerator that equals it bit for bit: the front end."""

__version__ = "0.1.0"
