"""Pure functions of arrays: rotations, reciprocal space, panels, prediction, derivatives."""
