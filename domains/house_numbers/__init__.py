"""Classification of single digits, one model package a way of writing them: the smallest complete domain."""
