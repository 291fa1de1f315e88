"""Images that no class explains.

``unexplained`` finds them, ``new_class_clusters`` groups them, ``stable_ids`` keeps a group's name from run to run.
"""
