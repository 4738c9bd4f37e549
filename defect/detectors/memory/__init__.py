"""The memory of normal: what good photos of a product show, and how far a photo lies from it."""
