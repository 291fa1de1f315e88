"""What a set's labels can be held against: classifiers fitted for that purpose.

``label_evidence`` chooses one, ``probe`` cross-validates ``linear`` or ``knn`` on embeddings over ``folds``,
``reference_model`` trains a ConvNet on the reference (``convnet_training``, ``early_learning``); ``temperature_scaling``
calibrates each of them.
"""
