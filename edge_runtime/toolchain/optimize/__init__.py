"""`hedgerow model optimize`: from one trained Keras model to every variant.

The driver (`driver.py`) imports no TensorFlow. Each variant is made in a process of its own (`worker.py`), so that tfmot,
which needs Keras 2, disturbs nothing, that time and memory are those of this variant, and that one that fails leaves the
others. `plan.py` says what there is to make, and by which rules.
"""
