"""Which device, which model variant, in what order. Knows no HTTP."""
