"""Several label sources of one set, beside each other and as one.

``side_by_side`` reads them together, ``divergences`` and ``disagreement_scan`` measure how far they are apart and
``standing_out`` says who stands alone; ``committee`` combines them (``expertise`` weighs them), ``committee_names`` and
``committee_sources`` make that a label source like others, ``mean_source`` is the plain average.
"""
