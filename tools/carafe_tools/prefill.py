"""How long the chunks are in which prompts are computed, by the size of the model."""

from carafe_tools.text_context import BLOCK_SIZE

# The most million weights of a model, and its chunk: large enough to be fast, and small enough that
# others do not wait long for their next tokens.
CHUNKS = ((30, 256), (400, 128), (2000, 64))
SMALLEST_CHUNK = 32


def prefill_chunk(num_weights: int, context_length: int) -> int:
    """Return the length of a model's prompt chunks, a multiple of a block's and no longer than the
    context needs.
    """
    chunk = next((chunk for millions, chunk in CHUNKS if num_weights < millions * 1e6), SMALLEST_CHUNK)
    return min(chunk, -(-context_length // BLOCK_SIZE) * BLOCK_SIZE)
