"""What the gateway's own work teaches: pictures to label next, and whether its models still see what they were made for."""
