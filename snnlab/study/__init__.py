"""Studies: many networks, one for each combination of the values that are asked for."""
