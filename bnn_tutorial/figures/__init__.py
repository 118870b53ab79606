"""Interactive figures, which run on the page itself and as widgets in a live notebook."""

__all__ = []
