"""Two files or devices on the same inputs: where their decisions differ, and by which operator their tensors part.

    sides      what A and B are: a file or a package's variant, on a device
    inputs     what they are both shown
    answers    what each decides, in its own words or in those of the package's domain
    decisions  how far the two agree
    align      which operator of one graph is which of the other
    probe      every tensor of a graph, and every operator run by itself
    tensors    the difference along the graph
    place      where they first part
    causes     why, in words that a Keras user knows
    outputs    what comes out, value by value
    compare    all of it

All but `report` and `plot` load numpy and the interpreter.
"""
