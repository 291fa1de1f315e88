"""Multi-stage self-distillation of linear classifiers: a model is fitted again and again to what it said of its own images.

``solvers`` fit, ``chain`` is one such sequence of models on its own or kept from held-out images, ``stages`` runs chains
side by side and says when to stop, ``features`` prepares embeddings.
"""
