"""The five crops of every image, as published, written to disk.

May import the library and the locks of ``cache``.
"""
