"""For plugin writers: synthetic experiments with known truth, and the contract checks of every role."""
