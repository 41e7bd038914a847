"""What is wrong, or likely to be, with a quantised file: findings about parameters, about signals, and against a float twin."""
