"""Helpers that know nothing of neurons: argument checks, files, interrupts, exit, memory, the compilation cache."""
