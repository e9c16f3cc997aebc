"""How fast this machine trains and generates, on random models of stated sizes."""
