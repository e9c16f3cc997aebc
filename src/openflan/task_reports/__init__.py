"""Tasks as people look at them: lists, single tasks by name, and checks of their rows."""
