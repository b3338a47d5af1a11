"""The ops as people write them in an exercise, right. An exhibit is one of these files with a line replaced.

They are written apart from `npformer.functional` and from the referee's textbook: what the referee recognises
here it recognises in somebody else's code.
"""
