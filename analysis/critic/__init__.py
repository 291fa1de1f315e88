"""The label critic: judges say which of two candidate labels fits an image better; a tournament makes a best label of it.

After Label Critic (Bassi et al., arXiv 2411.02753): comparing two labels is easier for a judge than scoring one.
"""
