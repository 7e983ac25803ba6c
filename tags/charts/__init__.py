"""Charts: pure geometry, from numbers to shapes in a box of 100 by 100; templates draw them.

A chart fills whatever space there is, so its words stand in HTML around it.
"""
