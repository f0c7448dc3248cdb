"""Look at the network while it trains: one sample in detail, many for their health. JAX, no widget."""
