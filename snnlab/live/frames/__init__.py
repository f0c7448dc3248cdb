"""From a history or a probe to what is drawn: pure functions on NumPy arrays. They load no JAX and no widget."""
