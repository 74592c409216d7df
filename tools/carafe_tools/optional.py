"""Packages that the tools can do without, but for some sources and some commands.

Carafe's wheel brings numpy and OpenVINO, which are enough for OpenVINO folders, GGUF files and
safetensors. TensorFlow Lite files want the runtime that they are made for, to compare with it.
"""

# names that are imported
OPTIONAL = frozenset({"ai_edge_litert", "flatbuffers", "PIL", "tokenizers"})


def require_optional(error: ModuleNotFoundError) -> None:
    """Raise the error again unless it is about a package that may be missing."""
    if _package(error) not in OPTIONAL:
        raise error


def lacks(error: ModuleNotFoundError) -> str:
    """Return the sentence that says what is missing and how to get it."""
    return (
        f"this needs the Python package `{_package(error)}`, which is missing; `pip install 'carafe-openvino[convert]'` brings it"
    )


def _package(error: ModuleNotFoundError) -> str:
    return (error.name or "").partition(".")[0]
