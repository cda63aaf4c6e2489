"""Who answers a request: the edge, the cloud instead, or the cloud besides. Pure: no clock, no draw, no store."""
