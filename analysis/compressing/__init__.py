"""Prune, Combine, Augment (PCA, arXiv 2502.06434): ranking the images of each class, keeping as many as a budget allows,
and combining those into mosaics. Augmentation belongs to training and is the students' (analysis/students/).

The parts of the analysis ``compression``, of the command ``compress`` and of the page's panel.
"""
