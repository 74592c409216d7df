"""Carafe's tools: they turn a .tflite into a model folder that Carafe can serve, and prove that it
computes the same.

Start at `__main__.py` for the commands and at `convert.py` for the way a text model goes.
"""

__version__ = "0.1.0"
TOOL = f"carafe_tools {__version__}"
