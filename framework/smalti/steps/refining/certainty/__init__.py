"""How sure the result is: covariance, weak directions by name, corners of panels, halves of the data."""
