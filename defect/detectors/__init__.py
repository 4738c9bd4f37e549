"""Everything that judges a photo: autoencoders, the memory of normal, the steel classifier."""
