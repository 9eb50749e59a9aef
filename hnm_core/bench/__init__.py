"""`hnm-lab bench`: our searches, miners and losses beside their peers, in one process on the same arrays.

A subject is a function `cases(settings)` that lists its rows; a `Case` measures one row. How contenders are timed is in
`timing`, what bounds them in `limits`, the ways to ask a general library for negatives in `usage`.
"""
