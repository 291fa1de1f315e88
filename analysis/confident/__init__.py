"""Confident learning (arXiv 1911.00068) in chunks and on any device.

``learning`` is the way in, ``rows`` reads probabilities a chunk at a time, ``joint`` estimates how given and right classes
go together, ``pruning`` chooses whom to flag, ``cleanlab_backend`` asks cleanlab itself.
"""
