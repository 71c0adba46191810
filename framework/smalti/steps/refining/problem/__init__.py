"""What is minimised: models and their parameters, reflections, normal equations and what they tell."""
