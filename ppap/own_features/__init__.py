"""Features of any network, as arrays: what ``ppap.explore`` and NPZ files bring.

They come as one array ``(B, h, w, D)`` or, where grids differ, as a list of ``(h, w, D)``. Pictures
and labels are as one likes; where there are no pictures, the features' own principal components
stand in for them.
"""
