"""What the pixels mean: media, domains, results. Knows no device, socket, clock or setting."""
