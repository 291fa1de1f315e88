"""What several annotators' answers say together: consensus by several methods, how good each annotator is, and what more
answers are worth.

Answers are ``Votes``; a consensus is a sparse matrix of one distribution a sample.
"""
