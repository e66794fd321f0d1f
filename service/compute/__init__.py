"""Arrays to arrays: the maths, in NumPy, with nothing left to check.

Every function is total: its caller has seen to shapes and values. Logits come as rows, shape (n, K), float64 where
nothing else is said; -inf is an excluded class. Letters: `z` logits, `T` temperature, `p` probabilities, `l`
log-normaliser, `y` label, `t` target.
"""
