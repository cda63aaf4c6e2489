"""From a domain's recipe to a model package: fit, convert, calibrate, package, evaluate."""
