"""The picture that stays in a saved notebook: SVG, no browser needed."""
