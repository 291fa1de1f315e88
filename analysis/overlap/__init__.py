"""Classes that share images or soft mass.

``class_mass`` and ``class_neighbours`` count what two classes share, ``class_pairs`` tests a pair, ``pairs`` collects the
evidence, ``super_classes`` proposes what to merge, ``tables`` tells it.
"""
