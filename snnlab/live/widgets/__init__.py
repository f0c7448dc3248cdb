"""The dashboard: ipywidgets, plotly and hand-drawn canvases, written by one thread."""
