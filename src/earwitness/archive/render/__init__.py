"""Packets to aligned audio, files, peaks and the quality sheet. Import from its modules: most need codec libraries."""
