"""How the minimum is found: rounds of judging and minimising, what is held, chosen and let vary."""
