"""From a history or a probe to what is drawn: pure functions on NumPy arrays, tested headless."""
