"""Property-based verification of convolutions."""
