"""Classification of medical pictures, one model package an exam."""
